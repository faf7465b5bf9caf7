"""A plot for each class of tokens, of what the runs measured on it."""

from __future__ import annotations

import re

import pytest

from fitting.analysis import analyse
from fitting.export.all_plots import all_plots
from fitting.export.origin_plots import origin_plots
from fitting.page.report_page import html
from fitting.runs.read import complete
from harness.experiments import make_records, with_origins

MEASURED = analyse(complete(with_origins(make_records())))
CLASSES = ["origin-repeat", "origin-broken", "origin-new"]


def test_every_class_that_was_measured_has_a_plot_and_a_place_on_the_page() -> None:
    assert list(origin_plots(MEASURED)) == CLASSES
    boxes = re.findall(r'<div id="(origin-[a-z]+)" class="plot">', html(MEASURED))
    assert boxes == CLASSES


def test_runs_that_were_not_measured_by_class_have_none() -> None:
    assert origin_plots(analyse(complete(make_records()))) == {}


def test_points_are_losses_on_the_class_with_their_own_errors() -> None:
    for number, law in enumerate(MEASURED.laws.values()):
        runs = law.selection.runs
        for name, plot in origin_plots(MEASURED).items():
            column = name.replace("origin-", "val_loss_")
            (points,) = [m for m in plot.marks if m["kind"] == "points" and m["k"] == number]
            assert points["y"] == runs[column].tolist()
            assert points["high"] == pytest.approx((runs[column] + runs[f"{column}_se"]).tolist())
            assert f"loss {points['y'][0]:.4f}" in points["tips"][0]


def test_a_class_without_a_law_has_points_alone() -> None:
    verdicts = {
        f"origin-{each.origin}": each.verdict.word
        for law in MEASURED.laws.values()
        for each in law.by_origin
    }
    assert set(verdicts.values()) == {"supported", "not supported"}
    for name, plot in all_plots(MEASURED).items():
        if name in verdicts:
            kinds = {mark["kind"] for mark in plot.marks}
            assert ("line" in kinds) == (verdicts[name] == "supported")
