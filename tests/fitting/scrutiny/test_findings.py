"""Other choices, on the page and in fit.json: shown where there is a law, and only there."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from fitting.analysis import Analysis, analyse
from fitting.export.scrutiny_json import scrutiny_json
from fitting.export.scrutiny_plots import scrutiny_plots
from fitting.page import report_page, scrutiny
from fitting.runs.read import complete
from harness.experiments import make_records
from harness.training_curves import training_curves


def trained(arch: str = "lstm", sizes: int = 6) -> pd.DataFrame:
    """Finished cells with training curves, tokens in proportion to size."""
    runs = training_curves(sizes, 3, 0.003, 0.01, np.random.default_rng(5))
    return complete(runs.assign(arch=arch, size=runs["n_params"].round().astype(str)))


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(trained())


def test_each_plot_has_a_place_and_each_place_a_plot(analysis: Analysis) -> None:
    places = set(re.findall(r'id="(\w+)" class="plot"', scrutiny.sections(analysis.laws)))
    assert places == set(scrutiny_plots(analysis.laws, analysis.axis))
    assert places == {"sensitivity", "collapse"}


def test_marks_are_numbers_that_json_knows(analysis: Analysis) -> None:
    for plot in scrutiny_plots(analysis.laws, analysis.axis).values():
        json.dumps(plot.marks, allow_nan=False)


def test_the_page_says_what_fit_json_says(analysis: Analysis) -> None:
    law = analysis.laws["lstm"]
    assert law.scrutiny is not None
    text = report_page.html(analysis)
    written = scrutiny_json(law.scrutiny)
    for part in ("sensitivity", "forms", "collapse"):
        assert written[part]["said"] in text


def test_a_hostile_name_stays_text() -> None:
    sections = scrutiny.sections(analyse(trained("<b onclick=alert(1)>")).laws)
    assert "<b onclick" not in sections
    assert "&lt;b onclick" in sections


def test_without_curves_the_section_on_them_is_left_out() -> None:
    found = analyse(complete(make_records(sizes=6)))
    assert "collapse?" not in scrutiny.sections(found.laws)
    assert "collapse" not in scrutiny_plots(found.laws, found.axis)


def test_where_no_law_can_be_tested_nothing_is_shown() -> None:
    found = analyse(complete(make_records(sizes=3, seeds=1)))
    assert scrutiny.sections(found.laws) == ""
    assert scrutiny_plots(found.laws, found.axis) == {}


def test_losses_that_rise_have_no_exponent_to_ask_about() -> None:
    records = complete(make_records())
    found = analyse(records.assign(val_loss=1 + 0.1 * np.log(records["n_params"])))
    assert all(law.scrutiny is None for law in found.laws.values())


def test_four_sizes_of_one_seed_are_shown_with_what_is_missing() -> None:
    found = analyse(complete(make_records(sizes=4, seeds=1)))
    sections = scrutiny.sections(found.laws)
    assert "Too few sizes to leave any out." in sections
    assert "Too few sizes to test other forms" in sections
    assert "too few sizes" in sections


def test_a_law_against_flops_has_neither_counts_nor_a_bundle() -> None:
    law = analyse(complete(make_records()), "flops").laws["lstm"]
    assert law.scrutiny is not None
    assert law.scrutiny.counted == ()
    assert law.scrutiny.collapse is None
    assert law.scrutiny.ends
