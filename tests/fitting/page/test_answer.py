"""The first screen: the answer that the design was made for, and no more than can be read."""

import re

import numpy as np
import pandas as pd
import pytest

from fitting.analysis import Analysis, analyse
from fitting.page import report_page
from fitting.runs.read import complete
from tests.fitting.conftest import make_isoflop_records, make_records


def crowd(count: int) -> Analysis:
    rng = np.random.default_rng(0)
    n = np.geomspace(3e3, 3e5, 6).round()
    tables = [
        pd.DataFrame(
            {
                "arch": f"a{k}",
                "n_params": n,
                "tokens": 2e6,
                "flops": 12e6 * n,
                "val_loss": (6 * n**-0.3 + 1.2 + k / 50) * np.exp(0.003 * rng.standard_normal(6)),
            }
        )
        for k in range(count)
    ]
    return analyse(complete(pd.concat(tables, ignore_index=True)))


def first_screen(analysis: Analysis) -> str:
    text = report_page.html(analysis)
    return text[: text.index('<div id="law"')]


def test_many_budgets_are_led_by_size_and_tokens_together() -> None:
    records = complete(make_isoflop_records(unique=1e12))
    analysis = analyse(records)
    shown = first_screen(analysis)
    assert "L(N, D) = " in shown
    assert re.search(r"The best size grows as C<sup>0\.(49|50|51)\d*</sup> \[", shown)
    assert analysis.lines()[0].startswith("transformer  L(N, D) = ")


def test_one_budget_is_led_by_size_and_names_the_budget() -> None:
    shown = first_screen(analyse(complete(make_records())))
    assert "L(N, D)" not in shown
    assert "At 3,000,000 tokens." in shown


def test_tokens_that_grow_with_the_size_are_named() -> None:
    records = make_records().assign(tokens=lambda runs: 20 * runs["n_params"])
    assert (
        "Tokens grow with the size: D = 20 N. α describes size and tokens together."
        in first_screen(analyse(complete(records)))
    )


def test_beyond_the_range_both_intervals_are_told_with_what_they_are_worth() -> None:
    shown = first_screen(analyse(complete(make_records())))
    assert "if the same law continues" in shown
    assert "if the fall slows down in any way" in shown
    assert "published runs 5 to 20 times larger" in shown


def test_a_crowd_is_a_table_and_its_pairs_are_folded() -> None:
    analysis = crowd(14)
    shown = first_screen(analysis)
    assert "14 architectures: 14 weak." in shown
    assert "<article" not in shown
    assert "<summary>Pair by pair</summary>" in shown
    assert analysis.lines()[-1] == "And 172 more pairs, on the page."


@pytest.mark.slow
def test_a_hundred_architectures_stay_readable() -> None:
    analysis = crowd(100)
    assert len(analysis.comparisons) == 2 * 4950
    text = report_page.html(analysis)
    unfolded = [part.split("</details>")[-1] for part in text.split("<details>")]
    assert sum(part.count("<tr>") for part in unfolded) < 400
