"""The page and the figures draw the same marks, and each plot has a place on the page."""

import re
from pathlib import Path

import numpy as np
import pytest

from fitting.analysis import Analysis, analyse
from fitting.export.all_plots import all_plots
from fitting.export.figures import draw, figure
from fitting.export.json_values import plain
from fitting.law.intervals import Interval
from fitting.page import report_page
from fitting.runs.read import complete
from harness.experiments import make_records
from tests.fitting.conftest import make_isoflop_records


@pytest.fixture(scope="module")
def isoflop() -> Analysis:
    return analyse(complete(make_isoflop_records(unique=1e12)))


def test_every_plot_with_marks_has_one_box_on_the_page_and_no_other_has(isoflop: Analysis) -> None:
    boxes = re.findall(r'<div id="([a-z-]+)" class="plot">', report_page.html(isoflop))
    assert sorted(boxes) == sorted(name for name, plot in all_plots(isoflop).items() if plot.marks)


def test_a_plot_has_a_word_for_each_kind_of_its_marks(isoflop: Analysis) -> None:
    for analysis in (isoflop, analyse(complete(make_records(seeds=1, sizes=5)))):
        for plot in all_plots(analysis).values():
            kinds = {mark["kind"] for mark in plot.marks}
            kinds |= {"error" for mark in plot.marks if mark["kind"] == "points" and "low" in mark}
            assert kinds <= set(plot.key)


def test_error_bars_are_a_standard_error_to_each_side() -> None:
    analysis = analyse(complete(make_records()))
    for mark in all_plots(analysis)["law"].marks:
        if mark["kind"] == "points":
            assert mark["low"] == pytest.approx([y - 0.002 for y in mark["y"]])
            assert mark["high"] == pytest.approx([y + 0.002 for y in mark["y"]])


def test_without_standard_errors_there_are_no_error_bars() -> None:
    marks = all_plots(analyse(complete(make_records().drop(columns="val_loss_se"))))["law"].marks
    assert not any("low" in mark for mark in marks if mark["kind"] == "points")


def test_every_plot_with_marks_becomes_a_figure(isoflop: Analysis, tmp_path: Path) -> None:
    plotted = [plot for plot in all_plots(isoflop).values() if plot.marks]
    written = draw(isoflop, tmp_path)
    assert len(written) == 2 * len(plotted)
    assert {"loss_by_flops.png", "isoflop.svg", "surface.png"} <= set(written)


def test_the_points_of_a_law_are_its_runs_and_its_line_the_law() -> None:
    analysis = analyse(complete(make_records()))
    marks = all_plots(analysis)["law"].marks
    for k, law in enumerate(analysis.laws.values()):
        (points,) = (m for m in marks if m["k"] == k and m["kind"] == "points")
        (line,) = (m for m in marks if m["k"] == k and m["kind"] == "line")
        assert points["y"] == law.selection.runs["val_loss"].tolist()
        assert law.fit is not None
        assert line["y"] == pytest.approx(law.fit.predict(line["x"]))


def test_an_interval_without_an_upper_end_leaves_the_axes_as_they_are() -> None:
    analysis = analyse(complete(make_records(seeds=1, sizes=5)))
    axes = figure(analysis, "law").axes[0]
    losses = [y for mark in all_plots(analysis)["law"].marks for y in mark["y"]]
    low, high = axes.get_ylim()
    assert min(losses) / 1.1 < low < min(losses)
    assert max(losses) < high < 1.1 * max(losses)


def test_json_values_have_neither_infinity_nor_arrays() -> None:
    found = plain({"ends": Interval(0.0, np.inf), "list": np.array([1.0, np.nan])})
    assert found == {"ends": [0.0, None], "list": [1.0, None]}
