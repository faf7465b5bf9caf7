"""A law is fitted against parameters, tokens or FLOPs, and is named after what it is against."""

import numpy as np
import pandas as pd
import pytest

from fitting.analysis import analyse
from fitting.report import main
from fitting.runs.axis import AXES
from fitting.runs.read import RecordError, complete

A, ALPHA, C = 40.0, 0.30, 1.2


def runs_along(column: str) -> pd.DataFrame:
    """Six runs whose loss is A x^-ALPHA + C in `column`, and which differ in nothing else."""
    x = np.geomspace(1e4, 1e7, 6).round()
    loss = (A * x**-ALPHA + C) * np.exp(0.001 * np.array([1, -1, 1, 1, -1, -1]))
    return complete(pd.DataFrame({"n_params": 1e6, "arch": "lstm", column: x, "val_loss": loss}))


@pytest.mark.parametrize("column", list(AXES))
def test_a_law_comes_back_along_the_axis_it_was_made_along(column: str) -> None:
    analysis = analyse(runs_along(column), column)
    law = analysis.laws["lstm"]
    assert law.alpha_interval.low < ALPHA < law.alpha_interval.high
    assert law.c_interval.low < C < law.c_interval.high
    assert law.alpha == pytest.approx(ALPHA, abs=0.03)
    assert f"L({AXES[column].symbol}) = " in analysis.lines()[0]


def test_a_law_against_what_was_never_recorded_is_refused_by_name() -> None:
    with pytest.raises(RecordError, match="no finished cell has a value in the column tokens"):
        analyse(runs_along("n_params"), "tokens")


def test_the_command_knows_no_other_axis(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--csv", "runs.csv", "--against", "seconds"])
    assert stopped.value.code == 2
    assert "invalid choice: 'seconds'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("n_params", 297_123, "297,000 parameters"),
        ("tokens", 3e6, "3,000,000 tokens"),
        ("flops", 4.449e12, "4.45e+12 FLOPs"),
    ],
)
def test_an_amount_is_said_in_three_digits(column: str, value: float, words: str) -> None:
    assert AXES[column].amount(value) == words
