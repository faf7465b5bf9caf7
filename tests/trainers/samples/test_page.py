"""samples.html: complete in itself, and every piece on it sounds."""

from __future__ import annotations

import json
import re
import wave
from collections.abc import Callable

import pytest

from tests.conftest import Opened
from trainers.samples import page
from trainers.samples.study import Study

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


@pytest.fixture(scope="module")
def html(study: Study) -> str:
    return page.html(study, shown=2, real=4, how="Drawn so.")


def test_every_cell_and_real_pieces_are_on_it(html: str) -> None:
    assert html.count("<article") == 4 * 2 + 4
    for text in ("lstm", "transformer", "4k", "20k", "Drawn so."):
        assert text in html


def test_it_asks_nothing_of_the_network(html: str) -> None:
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", html)
    assert "@import" not in html


def test_its_data_is_json_and_it_stays_small(html: str) -> None:
    found = re.search(r"const pieces = (.*);</script>", html)
    assert found
    data = json.loads(found[1])
    assert {piece["real"] for piece in data} == {True, False}
    assert len(html) < 60_000 + 30_000 * len(data)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_every_play_button_sounds(
    html: str, open_page: Callable[[str, int], Opened], width: int
) -> None:
    opened = open_page(html, width)
    tab = opened.tab
    cards = tab.locator("#open article")
    for number in range(cards.count()):
        cards.nth(number).locator(".play").click()
        clock, peak = tab.evaluate(LISTEN)
        assert clock > 0
        assert peak > 0.001
    with tab.expect_download() as saved:
        cards.nth(0).locator("[data-save=wav]").click()
    with wave.open(str(saved.value.path())) as sound:
        assert sound.getnframes() > sound.getframerate()
    with tab.expect_download() as saved:
        cards.nth(0).locator("[data-save=xml]").click()
    assert "<score-partwise" in saved.value.path().read_text()
    tab.locator("#blind").click()
    assert tab.locator("#quiz article").count() == 4 + 6
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert not opened.wrong
    assert all(url.startswith(("file:", "data:", "blob:")) for url in opened.asked)
