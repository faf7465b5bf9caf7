"""A stated law is held against the losses that it is stated of."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.analysis import analyse
from fitting.check import Check, main
from fitting.law.stated import parse
from fitting.runs.read import complete, read_csv
from harness.experiments import TRUE_LAWS, make_records

STUDIES = Path(__file__).parents[2] / "docs" / "studies"
A = {
    "transformer": "594.3796 N^-.6037 + .4010",
    "lstm": "12.1997 N^-.2669 + .3540",
}
B = {"transformer": "8.42 N^-.152 + 1.45", "lstm": "12.34 N^-.081 + 1.98"}


def check(study: str, arch: str, law: str) -> Check:
    laws = analyse(read_csv(STUDIES / f"{study}.csv")).laws
    return Check(parse(law), laws[arch], tolerance=0.01)


@pytest.mark.parametrize(("arch", "nats"), [("transformer", 0.003), ("lstm", 0.0035)])
def test_laws_that_were_fitted_to_their_losses_meet_them(arch: str, nats: float) -> None:
    found = check("a", arch, A[arch])
    assert np.abs(found.says - found.loss).max() == pytest.approx(nats, abs=0.0005)
    assert found.meets
    assert found.r2 > 0.99


@pytest.mark.parametrize(
    ("arch", "low", "high"), [("transformer", -0.138, 0.203), ("lstm", 0.914, 1.186)]
)
def test_laws_that_were_not_do_not(arch: str, low: float, high: float) -> None:
    found = check("b", arch, B[arch])
    assert (found.misses.min(), found.misses.max()) == pytest.approx((low, high), abs=0.001)
    assert not found.meets
    assert not found.explained_by_rounding


def test_a_squared_correlation_is_high_where_r2_is_far_below_zero() -> None:
    found = check("b", "lstm", B["lstm"])
    assert found.r2 < -60
    assert found.correlation2 > 0.99


def test_a_true_law_beyond_the_tolerance_is_met_within_the_noise() -> None:
    a, alpha, c = TRUE_LAWS["lstm"]
    laws = analyse(complete(make_records(noise=0.02))).laws
    found = Check(parse(f"{a} N^-{alpha} + {c}"), laws["lstm"], tolerance=0.01)
    assert not found.within_tolerance
    assert found.meets


def test_losses_that_show_no_law_are_near_to_none() -> None:
    found = check("c", "transformer", "0.05 N^-.001 + .8")
    assert found.found.verdict.word == "not supported"
    assert not found.meets


def test_too_few_digits_are_told_from_a_wrong_law() -> None:
    found = check("a", "transformer", "5e2 N^-.6 + .4")
    assert not found.meets
    assert found.explained_by_rounding
    assert "may be met with more digits" in found.lines()[-1]


@settings(max_examples=25)
@given(factor=st.floats(1.05, 4))
def test_a_law_that_is_off_by_a_factor_is_off_by_it_everywhere(factor: float) -> None:
    a, alpha, c = 6.0, 0.3, 1.2
    off = Check(parse(f"{factor * a} N^-{alpha} + {factor * c}"), TRANSFORMER, tolerance=0.01)
    assert off.misses == pytest.approx(np.full(len(off.n), factor - 1), abs=0.02 * factor)
    assert "all on one side" in "\n".join(off.lines())


TRANSFORMER = analyse(complete(make_records())).laws["transformer"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--law", f"transformer={A['transformer']}", "--law", f"lstm={A['lstm']}"], 0, "meets"),
        (["--law", A["lstm"]], 1, "DOES NOT MEET"),
        (["--law", "9 N^-.1", "--law", f"lstm = L(N) = {A['lstm']}"], 1, "lstm: L(N) = 12.1997 N"),
        (["--law", f"lstm={A['lstm']}"], 0, "if every size saw equally many tokens: c then"),
        (["--law", f"gru={A['lstm']}"], 2, "no finished run of gru; found lstm, transformer"),
        (["--law", "8 N^-.1", "--law", "9 N^-.1"], 2, "several laws for all"),
        (["--law", "lstm=fast"], 2, "found 'fast'; expected a law such as"),
        (["--law", "8 D^-.1"], 2, "no finished cell has a value in the column tokens"),
    ],
)
def test_the_exit_code_says_whether_they_meet(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(["--csv", str(STUDIES / "a.csv"), *arguments]) == code
    out, error = capsys.readouterr()
    assert said in out + error
    assert error.count("\n") == (code == 2)


def test_the_losses_of_the_studies_are_the_published_ones(tables_folder: Path) -> None:
    published = pd.read_csv(tables_folder / "studies.csv")
    for study, rows in published.groupby("study"):
        ours = pd.read_csv(STUDIES / f"{str(study).lower()}.csv")
        assert ours.to_numpy().tolist() == rows.drop(columns="study").to_numpy().tolist()


def test_a_budget_that_all_sizes_shared_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.csv"
    make_records().to_csv(path, index=False)
    main(["--csv", str(path), "--law", "lstm=4.0 N^-.24 + 1.15"])
    assert "every size saw 3,000,000 tokens: c then holds a term of D" in capsys.readouterr().out
