"""What the page and fit.json say of L(N, D): the surface first, in words, and nothing unescaped."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest

from fitting.analysis import analyse
from fitting.export.surface_json import surface_json
from fitting.export.surface_plots import surface_plots
from fitting.page import report_page, surface
from fitting.runs.loss import PER_TOKEN
from fitting.runs.read import complete
from fitting.surface.law import SurfaceLaw
from harness.experiments import make_records
from tests.conftest import Opened
from tests.fitting.conftest import make_isoflop_records
from tests.fitting.surface.test_law import D, N, isoflop, law_of, table


@pytest.fixture(scope="module")
def law() -> SurfaceLaw:
    return law_of(isoflop())


@pytest.fixture(scope="module")
def refused() -> SurfaceLaw:
    n = np.geomspace(1e6, 1e8, 20)
    return law_of(table(n, 20 * n))


def test_the_law_is_told_before_its_numbers(law: SurfaceLaw) -> None:
    text = surface.section({"transformer": law}, PER_TOKEN)
    assert text.index(law.headline()) < text.index("<table>")
    assert text.index("the best size grows as C") < text.index("The parabolas ")
    assert "was predicted from the other runs" in text


def test_every_table_may_be_scrolled_on_a_phone(law: SurfaceLaw) -> None:
    text = surface.section({"transformer": law}, PER_TOKEN)
    assert text.count("<table>") == len(re.findall("<div class=scroll[^>]*><table>", text)) == 2


def test_a_refused_law_shows_its_reason_and_no_number(refused: SurfaceLaw) -> None:
    text = surface.section({"transformer": refused}, PER_TOKEN)
    assert "not supported" in text
    assert "tokens follow the size" in text
    assert "<table>" not in text
    assert surface_plots({"transformer": refused}, {"transformer": 0}, "loss") == {}


def test_a_hostile_name_stays_text(law: SurfaceLaw) -> None:
    name = "<b onclick=alert(1)>"
    assert name not in surface.section({name: law}, PER_TOKEN)


def test_without_laws_there_is_no_section() -> None:
    assert surface.section({}, PER_TOKEN) == ""
    assert "Size and tokens together" not in report_page.html(analyse(complete(make_records())))


def test_each_plot_has_a_box_and_each_box_a_plot(law: SurfaceLaw) -> None:
    laws = {"transformer": law, "lstm": law_of(table(N, D))}
    drawn = surface_plots(laws, {"transformer": 1, "lstm": 0}, "loss")
    boxes = re.findall(r'<div id="([a-z-]+)" class="plot">', surface.section(laws, PER_TOKEN))
    assert sorted(drawn) == sorted(boxes)
    for plot in drawn.values():
        assert {mark["k"] for mark in plot.marks} == {0, 1}
        for mark in plot.marks:
            assert len(mark["x"]) == len(mark["y"]) > 0
            assert np.all(np.isfinite(mark["x"] + mark["y"]))


def test_the_lines_of_the_plot_are_the_surface(law: SurfaceLaw) -> None:
    marks = surface_plots({"x": law}, {"x": 0}, "loss")["surface"].marks
    line = marks[0]
    n = law.surface.n.min()
    assert line["y"] == pytest.approx(law.surface.predict(n, np.array(line["x"])), rel=1e-3)


def test_json_holds_no_exponent_that_was_refused(law: SurfaceLaw, refused: SurfaceLaw) -> None:
    told, silent = (
        json.loads(json.dumps(surface_json(each, "val_loss"), allow_nan=False))
        for each in (law, refused)
    )
    assert told["alpha_interval"][0] <= told["alpha"] <= told["alpha_interval"][1]
    for name in ("A", "B", "E", "alpha", "beta", "optimal_exponent"):
        assert silent[name] is None
        assert silent["huber"][name] is None
        assert silent[f"{name}_interval"] is None
    assert silent["optima"] == []
    assert len(silent["runs"]) == 20


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_drawn_at_any_width(open_page: Callable[[str, int], Opened], width: int) -> None:
    records = make_isoflop_records(unique=1e12)
    opened = open_page(report_page.html(analyse(complete(records))), width)
    for box in surface.BOXES:
        assert opened.tab.locator(f"#{box} svg .point").count() == len(records)
    assert opened.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert not opened.wrong
