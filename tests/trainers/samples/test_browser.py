"""samples.html in a browser: every piece sounds, one at a time, by mouse, touch and keyboard."""

from __future__ import annotations

import csv
import io
import wave
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from data.music.quantise import quantise
from tests.conftest import Opened
from tests.data.conftest import make_midi
from trainers.samples import page
from trainers.samples.audio import render
from trainers.samples.novelty import Index, joined
from trainers.samples.study import Study, piece

pytestmark = pytest.mark.slow

Open = Callable[[str, int], Opened]

LISTEN = """async () => {
  const began = audio.currentTime, wave = new Float32Array(audio.meter.fftSize);
  let peak = 0;
  for (let i = 0; i < 300 && peak < .001; i++) {
    await new Promise(done => setTimeout(done, 20));
    audio.meter.getFloatTimeDomainData(wave);
    peak = wave.reduce((a, b) => Math.max(a, Math.abs(b)), peak);
  }
  return [audio.currentTime - began, peak];
}"""
WIDTHS = [390, 768, 1280]


@pytest.fixture(scope="module")
def html(study: Study) -> str:
    return page.html(study, shown=2, real=4, how="Drawn so.", report="report.html")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_play_button_sounds(html: str, open_page: Open, width: int) -> None:
    opened = open_page(html, width)
    tab = opened.tab
    cards = tab.locator("#open article")
    for number in range(cards.count()):
        cards.nth(number).locator(".play").click()
        clock, peak = tab.evaluate(LISTEN)
        assert clock > 0
        assert peak > 0.001
        assert tab.locator("article.playing").count() == 1
    assert not opened.wrong
    assert all(url.startswith(("file:", "data:", "blob:")) for url in opened.asked)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_scrolls_sideways(html: str, open_page: Open, width: int) -> None:
    tab = open_page(html, width).tab
    tab.locator("article .play").first.click()
    tab.wait_for_selector("#dock")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    answer_all(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone_both_first_pieces_are_on_the_first_screen(html: str, open_page: Open) -> None:
    tab = open_page(html, 390).tab
    bottoms = tab.locator(".first article").evaluate_all(
        "cards => cards.map(card => card.getBoundingClientRect().bottom)"
    )
    assert len(bottoms) == 2
    assert max(bottoms) <= 800


def test_a_pause_goes_on_where_it_was(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    card, other = tab.locator(".cards article").nth(0), tab.locator(".cards article").nth(1)
    card.locator(".play").click()
    tab.wait_for_function("playing && now() > .4")
    card.locator(".play").click()
    paused = position(card)
    assert paused >= 0.4
    assert tab.evaluate("playing === null")
    other.locator(".play").click()
    tab.wait_for_function("playing")
    card.locator(".play").click()
    tab.wait_for_function("playing")
    assert tab.evaluate("playing.from") == paused
    tab.keyboard.press("Escape")
    assert tab.evaluate("playing === null")
    assert position(card) == 0


def test_one_sounds_at_a_time_even_if_many_are_pressed_at_once(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    sounding = tab.evaluate(
        """async () => {
          const started = [], perform_ = perform;
          perform = (...all) => { started.push(all[2].name); perform_(...all); };
          const cards = [...document.querySelectorAll("#open article")];
          cards.forEach(card => card.querySelector(".play").click());
          await new Promise(done => setTimeout(done, 500));
          const shown = document.querySelectorAll(".playing").length;
          return [started, pieceOf(cards.at(-1)).name, shown];
        }"""
    )
    # Its card and the player show it.
    assert sounding == [[sounding[1]], sounding[1], 2]


def position(card: Any) -> float:
    return card.evaluate("card => card.position")


def test_the_picture_is_a_slider_by_keyboard(html: str, open_page: Open) -> None:
    """A bar lasts two seconds."""
    tab = open_page(html, 1280).tab
    card = tab.locator(".cards article").first
    slider = card.locator("[role=slider]")
    slider.focus()
    tab.keyboard.press("ArrowRight")
    assert position(card) == 2
    assert slider.get_attribute("aria-valuenow") == "2"
    assert slider.get_attribute("aria-valuetext") == "0:02 of 0:06, bar 2 of 3"
    tab.keyboard.press("End")
    assert position(card) == 4
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("Space")
    tab.wait_for_function("playing && now() > 2.1")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("playing && playing.from === 4")
    tab.keyboard.press("Home")
    tab.wait_for_function("playing && playing.from === 0")
    tab.keyboard.press("Enter")
    assert tab.evaluate("playing === null")


def test_a_click_on_the_picture_plays_from_there(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    roll = tab.locator(".cards article .roll").first
    box = roll.bounding_box()
    roll.click(position={"x": box["width"] / 2, "y": 10})
    tab.wait_for_function("playing")
    assert tab.evaluate("playing.from") == pytest.approx(3, abs=0.1)


def test_volume_holds_for_what_sounds(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    tab.locator(".cards article .play").first.click()
    assert tab.evaluate(LISTEN)[1] > 0.001
    tab.locator("#volume").fill("0")
    tab.wait_for_function("audio.volume.gain.value < 1e-4")
    assert tab.locator("#dock .time").inner_text().endswith("/ 0:06")


def samples_of(tab: Any, card: Any) -> np.ndarray:
    with tab.expect_download() as saved:
        card.locator("[data-save=wav]").click()
    with wave.open(str(saved.value.path())) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(int)


@pytest.fixture(scope="module")
def busy(study: Study) -> Study:
    """With a piece of chords that follow each other at once, which clipped, and one of drums."""
    chords = [
        (96 * beat, 96, pitch) for beat in range(16) for pitch in (48, 60, 64, 67, 72, 76, 79)
    ]
    drums = [(0, True, [(48 * nth, 48, 36 + nth % 8) for nth in range(32)])]
    index, tokens = Index.of(joined([])), np.arange(9)
    heard = [
        piece("test-1", quantise(make_midi([(0, False, chords)]), 24), tokens, None, index),
        piece("test-2", quantise(make_midi([(0, False, chords), *drums]), 24), tokens, None, index),
    ]
    return Study(study.composed, heard + study.reference[2:])


def test_a_wav_never_reaches_full_scale_and_is_that_of_generate(
    busy: Study, open_page: Open
) -> None:
    tab = open_page(page.html(busy, shown=2, real=7, how=""), 1280).tab
    cards = tab.locator("#open article")
    # Chromium lets a page save ten files in quick succession, and no more.
    for number in range(min(cards.count(), 8)):
        found = np.abs(samples_of(tab, cards.nth(number)))
        assert found.max() <= 0.9 * 32767 + 1
        assert found.max() > 0.8 * 32767
    mine, theirs = samples_of(tab, cards.nth(1)), render(busy.reference[0].score)
    assert abs(len(mine) - len(theirs)) < 2
    length = min(len(mine), len(theirs))
    assert np.corrcoef(mine[:length], theirs[:length])[0, 1] > 0.95


def test_what_sounds_on_the_page_does_not_clip_either(busy: Study, open_page: Open) -> None:
    """At full volume, begun anywhere: at twenty places of the loudest piece, most amid chords."""
    tab = open_page(page.html(busy, shown=1, real=7, how=""), 1280).tab
    peaks = tab.evaluate(
        """async () => {
          const peaks = [], piece = pieces.find(one => one.name === "test-2");
          for (let from = 0; from < 8; from += .4) {
            const sound = new OfflineAudioContext(1, 2 * 48000, 48000);
            perform(sound, sound.destination, piece, from, .06);
            const wave = (await sound.startRendering()).getChannelData(0);
            peaks.push(HEADROOM * wave.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
          }
          return peaks;
        }"""
    )
    assert max(peaks) < 1
    assert min(peaks) > 0.05


def test_files_can_be_taken_away(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    card = tab.locator(".cards article").first
    for kind, text in (("xml", "<score-partwise"), ("abc", "T:Real piece 3")):
        with tab.expect_download() as saved:
            card.locator(f"[data-save={kind}]").click()
        assert text in saved.value.path().read_text()


def answer_all(tab: Any) -> int:
    """Say "a person" of every piece of a hand; how many there are."""
    if tab.locator("#quiz").is_hidden():
        tab.locator("#blind").click()
    cards = tab.locator("#quiz article")
    for number in range(cards.count()):
        cards.nth(number).locator(".guess button").first.click()
    return cards.count()


def test_a_hand_ends_with_a_score_and_chance_and_sizes(html: str, open_page: Open) -> None:
    opened = open_page(html, 1280)
    tab = opened.tab
    assert answer_all(tab) == 12
    ends = stats.binomtest(6, 12).proportion_ci(0.95, method="exact")
    told = f"50 %, 95 % interval {100 * ends.low:.0f} to {100 * ends.high:.0f} %"
    score = tab.locator("[data-part=score]").inner_text()
    assert score.startswith(f"6 of 12 right; by chance 6. {told}")
    assert "may be chance" in score
    rows = [row.split("\t") for row in tab.locator("[data-part=sizes] tr").all_inner_texts()]
    assert rows == [
        ["4k", "3", "3", "100 % (29 to 100 %)"],
        ["20k", "3", "3", "100 % (29 to 100 %)"],
        ["real pieces", "6", "6", "100 % (54 to 100 %)"],
    ]
    assert tab.locator("[data-part=fooled] circle").count() == 2
    assert not opened.wrong


def test_its_intervals_are_clopper_and_pearsons(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    for k, n in ((0, 8), (1, 3), (7, 12), (12, 12), (126, 210), (990, 1000)):
        ends = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
        found = tab.evaluate(f"interval({k}, {n})")
        assert found == pytest.approx([ends.low, ends.high], abs=1e-6)


def test_several_hands_are_dealt_and_no_piece_twice(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    assert answer_all(tab) == 12
    tab.locator("[data-part=deal]").click()
    # Of eight composed and seven real pieces, two and one are left.
    assert answer_all(tab) == 2
    tab.locator("[data-part=deal]").click()
    assert tab.locator("#quiz article").count() == 0
    assert "has been heard" in tab.locator("[data-part=tally]").inner_text()
    assert len(set(tab.evaluate("answers.map(one => one.piece)"))) == 14


def test_before_an_answer_nothing_says_who_it_was(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    tab.locator("#blind").click()
    cards = tab.locator("#quiz article")
    told = """card => [card.innerText, card.style.cssText, card.ariaLabel,
      ...[...card.querySelectorAll("*")].map(each => `${each.ariaLabel} ${each.style.cssText}`)]"""
    for number in range(cards.count()):
        said = " ".join(map(str, cards.nth(number).evaluate(told)))
        assert f"Piece {number + 1}" in said
        assert not any(word in said for word in ("lstm", "transformer", "eal", "s0", "s1", "nats"))
    cards.first.locator(".guess button").first.click()
    assert cards.first.get_attribute("aria-label").startswith("Piece 1: ")


def test_focus_stays_on_what_was_pressed(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    for press, wanted in ((" ", "blind"), ("Enter", "blind")):
        tab.locator("#blind").focus()
        tab.keyboard.press(press)
        assert tab.evaluate("document.activeElement.id") == wanted
    tab.locator("#blind").click()
    button = tab.locator("#quiz article .guess button").first
    button.focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.textContent") == "A person"
    assert button.get_attribute("aria-pressed") == "true"


def test_pictures_are_hidden_on_wish_and_answers_say_so(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    tab.locator("#blind").click()
    picture = tab.locator("#quiz article .roll svg").first
    assert picture.is_visible()
    tab.get_by_label("Hide the pictures").check()
    assert not picture.is_visible()
    tab.locator("#quiz article .guess button").first.click()
    assert tab.evaluate("answers[0].picture") is False


def test_answers_outlive_the_page_and_are_saved_as_csv(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    answer_all(tab)
    tab.reload()
    tab.locator("#blind").click()
    with tab.expect_download() as saved:
        tab.locator("[data-part=export]").click()
    rows = list(csv.DictReader(io.StringIO(saved.value.path().read_text())))
    assert len(rows) == 12
    assert {row["real"] for row in rows} == {"true", "false"}
    made = next(row for row in rows if row["real"] == "false")
    assert (made["guess"], made["right"]) == ("person", "false")
    assert (made["size"], made["n_params"]) in (("4k", "4000"), ("20k", "20000"))
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.locator("[data-part=forget]").click()
    assert tab.evaluate("answers.length") == 0


def test_a_browser_that_keeps_nothing_can_listen_all_the_same(html: str, open_page: Open) -> None:
    forbid = (
        "Object.defineProperty(window, 'localStorage', { get() { throw Error('forbidden'); } });"
    )
    opened = open_page(html.replace("<script>", f"<script>{forbid}</script><script>", 1), 1280)
    assert answer_all(opened.tab) == 12
    assert not opened.wrong
    broken = "localStorage.setItem(`crescendo-blind-${study.id}`, '{}');"
    opened = open_page(html.replace("// Listening", f"{broken}\n// Listening"), 1280)
    assert answer_all(opened.tab) == 12
    assert not opened.wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_reader_finds_nothing_serious(
    html: str, open_page: Open, axe: Callable[[Opened], list[str]], scheme: str
) -> None:
    for width in (390, 1280):
        opened = open_page(html, width)
        opened.tab.emulate_media(color_scheme=scheme)
        opened.tab.locator("details summary").first.click()
        opened.tab.locator(".cards article .play").first.click()
        opened.tab.wait_for_function("playing")
        assert axe(opened) == []
        answer_all(opened.tab)
        assert axe(opened) == []


def test_targets_are_large_where_fingers_point(html: str, open_page: Open) -> None:
    tab = open_page(html, 390).tab
    tab.context.new_cdp_session(tab).send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    assert tab.evaluate("matchMedia('(pointer: coarse)').matches")
    tab.locator("article .play").first.click()
    tab.wait_for_function("playing")
    small = """() => [...document.querySelectorAll("button, input, summary, [role=slider]")]
      .filter(each => each.checkVisibility()).map(each => each.closest("label") ?? each)
      .filter(each => Math.min(each.offsetWidth, each.offsetHeight) < 44)
      .map(each => each.outerHTML.slice(0, 100))"""
    assert tab.evaluate(small) == []
    tab.locator("#blind").click()
    assert tab.evaluate(small) == []


def test_printed_from_the_dark_it_is_light_with_whole_cards(html: str, open_page: Open) -> None:
    tab = open_page(html, 1280).tab
    tab.emulate_media(media="print", color_scheme="dark")
    colours = tab.evaluate(
        """() => [...document.querySelectorAll("body, article, figure")]
          .map(each => getComputedStyle(each)).map(style => style.backgroundColor + style.color)"""
    )
    assert set(colours) == {"rgb(255, 255, 255)rgb(29, 37, 48)"}
    whole = "all => all.map(each => getComputedStyle(each).breakInside)"
    assert set(tab.locator("article, figure").evaluate_all(whole)) == {"avoid"}
    assert tab.locator(".more, #dock, .bar").evaluate_all(
        "all => all.every(each => !each.checkVisibility())"
    )
    assert tab.pdf(format="A4").startswith(b"%PDF")
