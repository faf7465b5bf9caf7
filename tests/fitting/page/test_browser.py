"""The report in a browser: plots are drawn and answer, all can read it, nothing is asked for."""

import csv
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fitting.analysis import Analysis, analyse
from fitting.export.all_plots import all_plots
from fitting.page import report_page
from fitting.runs.read import complete
from harness.experiments import make_records
from tests.conftest import Opened

Open = Callable[[str, int], Opened]
pytestmark = pytest.mark.slow
BESIDE = ("fit.json", "runs.csv", "loss_by_params.png", "samples.html")


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """With curves, so that every kind of mark is on the page."""
    records = complete(make_records(seeds=1, sizes=5))
    curves = [[(3e4, 2 * loss), (3e5, 1.3 * loss), (3e6, loss)] for loss in records["val_loss"]]
    records["train_curve"] = pd.Series(curves, dtype=object)
    return analyse(records)


@pytest.fixture(scope="module")
def html(analysis: Analysis) -> str:
    return report_page.html(analysis, beside=BESIDE)


@pytest.fixture
def tab(html: str, open_page: Open) -> Any:
    return open_page(html, 1280).tab


@pytest.fixture
def phone(html: str, open_page: Open) -> Any:
    """The page on a touch screen."""
    opened = open_page(html, 390).tab
    browser = opened.context.browser
    tab = browser.new_page(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    tab.goto(opened.url)
    return tab


def button(tab: Any, name: str) -> Any:
    return tab.locator("#law").get_by_role("button", name=name)


def ticks(tab: Any) -> list[str]:
    return tab.locator("#law .figure svg text").all_text_contents()


def at(tab: Any, x: float, y: float) -> tuple[float, float]:
    """A place on the plot of the law in pixels of the window, from parts of its size."""
    tab.locator("#law .figure").scroll_into_view_if_needed()
    box = tab.locator("#law .figure").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_it_shows_its_plots_at_any_width(html: str, open_page: Open, width: int) -> None:
    opened = open_page(html, width)
    tab = opened.tab
    plots = tab.locator("svg[aria-label]")
    assert plots.count() >= 2
    for index in range(plots.count()):
        box = plots.nth(index).bounding_box()
        assert 0 < box["width"] <= width
        assert box["height"] > 50
    assert tab.locator("svg .point").count() >= 20
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert not opened.wrong
    assert all(url.startswith(("file:", "data:")) for url in opened.asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_on_it_shuts_out_a_reader(
    html: str, open_page: Open, axe: Callable[[Opened], list[str]], scheme: str
) -> None:
    page = open_page(html, 1280)
    page.tab.emulate_media(color_scheme=scheme)
    for summary in page.tab.locator("summary").all():
        summary.click()
    assert axe(page) == []


def test_no_two_buttons_or_plots_have_the_same_name(tab: Any) -> None:
    names = tab.evaluate(
        "[...document.querySelectorAll('button, .figure, svg[aria-label]')]"
        ".map(each => each.getAttribute('aria-label'))"
    )
    assert all(names)
    assert len(set(names)) == len(names) > 20


def test_a_tap_shows_a_run_or_else_the_law_with_its_band(phone: Any) -> None:
    tip = phone.locator("#law .tip")
    phone.locator("#law .figure").scroll_into_view_if_needed()
    point = phone.locator("#law .points .point").first.bounding_box()
    phone.touchscreen.tap(point["x"] + 4, point["y"] + 4)
    assert re.search(r"N = [\d,]+\nloss 1\.\d+ ± 0\.0020", tip.text_content())
    # Beyond the largest run there is the law alone.
    line = phone.locator("#law .line path").first.bounding_box()
    phone.touchscreen.tap(line["x"] + line["width"] - 5, line["y"] + line["height"] - 3)
    assert "law" in tip.text_content()
    assert re.search(r"95 % band of the law 1\.\d+ to 1\.\d+", tip.text_content())
    phone.touchscreen.tap(200, 5)
    assert tip.is_hidden()


def test_the_pointer_shows_a_line_and_its_band(tab: Any) -> None:
    tab.mouse.move(*at(tab, 0.93, 0.8))
    assert "95 % band of the law" in tab.locator("#law .tip").text_content()
    tab.mouse.move(2, 2)
    assert tab.locator("#law .tip").is_hidden()


def test_what_a_finger_meets_is_large_enough(phone: Any) -> None:
    sizes = phone.evaluate(
        "[...document.querySelectorAll('button, summary, .files a')].map(each => {"
        "const box = each.getBoundingClientRect(); return [box.width, box.height, each.tagName]; })"
    )
    assert len(sizes) > 20
    assert all(height >= 44 for _, height, _ in sizes)
    assert all(width >= 44 for width, _, tag in sizes if tag != "A")


def test_a_legend_entry_hides_its_series_and_shows_it_again(tab: Any) -> None:
    lstm, marks = button(tab, "lstm, in"), tab.locator("#law .mark[data-k='0']")
    there = marks.count()
    assert there > 0
    lstm.focus()
    tab.keyboard.press("Space")
    assert lstm.get_attribute("aria-pressed") == "false"
    assert marks.count() == 0
    assert tab.locator("#law .mark[data-k='1']").count() > 0
    tab.keyboard.press("Space")
    assert lstm.get_attribute("aria-pressed") == "true"
    assert marks.count() == there


def test_architectures_differ_in_shape_and_dash(tab: Any) -> None:
    outlines, dashes = (
        {
            re.sub(r"[\d.-]+", "", tab.locator(found).first.get_attribute(attribute) or "")
            if attribute == "d"
            else tab.locator(found).first.get_attribute(attribute)
            for found in (f"#law [data-k='{k}']{kind}" for k in (0, 1))
        }
        for kind, attribute in ((".points .point", "d"), (".line path", "stroke-dasharray"))
    )
    assert len(outlines) == len(dashes) == 2


def test_a_drag_zooms_and_escape_resets(tab: Any) -> None:
    before = ticks(tab)
    tab.mouse.move(*at(tab, 0.3, 0.3))
    tab.mouse.down()
    tab.mouse.move(*at(tab, 0.6, 0.7), steps=3)
    tab.mouse.up()
    assert ticks(tab) != before
    tab.keyboard.press("Escape")
    assert ticks(tab) == before


def test_buttons_zoom_and_keys_do(tab: Any) -> None:
    before = ticks(tab)
    button(tab, "zoom in").click()
    assert ticks(tab) != before
    button(tab, "reset").click()
    assert ticks(tab) == before
    tab.locator("#law .figure").focus()
    tab.keyboard.press("+")
    assert ticks(tab) != before
    tab.keyboard.press("-")
    assert ticks(tab) == before


def test_arrows_step_through_the_values(tab: Any) -> None:
    tip = tab.locator("#law .tip")
    tab.locator("#law .figure").focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        tab.keyboard.press(key)
        seen.append(tip.text_content())
    assert all(seen)
    assert len(set(seen)) == len(seen)
    tab.keyboard.press("Escape")
    assert tip.is_hidden()


def test_axes_are_logarithmic_or_linear(tab: Any) -> None:
    assert "validation loss, nats per token, log scale" in ticks(tab)
    log_x, log_y = button(tab, "log x"), button(tab, "log y")
    log_x.click()
    log_y.click()
    assert log_y.get_attribute("aria-pressed") == "false"
    assert "validation loss, nats per token" in ticks(tab)
    # Equal steps between equal distances.
    x = [float(text[:-1]) for text in ticks(tab) if re.fullmatch(r"[\d.]+k", text)]
    assert len({round(b - a, 6) for a, b in pairwise(x)}) == 1


def saved(tab: Any, name: str, path: Path) -> Path:
    with tab.expect_download() as waiting:
        button(tab, name).click()
    waiting.value.save_as(path)
    return path


def test_the_csv_has_the_numbers(tab: Any, analysis: Analysis, tmp_path: Path) -> None:
    with saved(tab, "save as CSV", tmp_path / "law.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    plot = all_plots(analysis)["law"]
    assert head == ["series", "mark", plot.x, plot.y, "low", "high", "more"]
    for k, arch in enumerate(analysis.laws):
        mine = {mark["kind"]: mark for mark in plot.marks if mark["k"] == k}
        points, band = mine["points"], mine["band"]
        told = [row for row in rows if row[:2] == [arch, "a run"]]
        assert [float(row[2]) for row in told] == points["x"]
        assert [float(row[3]) for row in told] == points["y"]
        assert [float(row[4]) for row in told] == points["low"]
        told = [row for row in rows if row[:2] == [arch, "the law"]]
        assert [float(row[3]) for row in told] == band["y"]
        assert [float(row[4]) for row in told] == band["low"]
        assert [float(row[5]) if row[5] else None for row in told] == band["high"]


def test_the_table_beside_a_plot_has_its_values(tab: Any, analysis: Analysis) -> None:
    tab.locator("#law .values summary").click()
    text = tab.locator("#law .values table").text_content()
    for law in analysis.laws.values():
        for loss in law.selection.runs["val_loss"]:
            assert f"{loss:.5g}".rstrip("0") in text


def test_the_picture_is_a_light_one_in_dark_mode_too(tab: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    tab.emulate_media(color_scheme="dark")
    with image.open(saved(tab, "save as PNG", tmp_path / "law.png")) as picture:
        assert picture.width == 1800
        assert picture.convert("RGB").getpixel((3, 3)) == (255, 255, 255)
        # Lines and letters are on it.
        assert len(picture.convert("RGB").getcolors(10**6)) > 50


def test_printed_in_dark_mode_it_is_as_light_as_in_light_mode(tab: Any) -> None:
    printed = {}
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        printed[scheme] = re.sub(rb"/(Creation|Mod)Date \([^)]*\)", b"", tab.pdf())
    assert len(printed["light"]) > 10_000
    assert printed["dark"] == printed["light"]
    tab.emulate_media(color_scheme="dark", media="print")
    style = "getComputedStyle(document.body)"
    colours = tab.evaluate(f"[{style}.backgroundColor, {style}.color]")
    assert colours == ["rgb(255, 255, 255)", "rgb(29, 37, 48)"]


def test_printed_all_that_is_folded_is_open_but_the_values_of_plots(
    open_page: Open,
) -> None:
    records = complete(make_records(seeds=5, sizes=5))
    tab = open_page(report_page.html(analyse(records)), 1280).tab
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("details:not([open]):not(.values)").count() == 0
    assert tab.locator("td", has_text="finished").count() == 50
    tab.emulate_media(media="print")
    for hidden in (".values", ".tools"):
        assert not tab.locator(hidden).first.is_visible()
    assert tab.locator(".legend button").first.is_visible()
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator("details[open]").count() == 0
