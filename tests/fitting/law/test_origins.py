"""Each class of tokens has its own law, of the same runs as the law of the whole."""

from __future__ import annotations

import pandas as pd
import pytest

from fitting.analysis import analyse
from fitting.law.origins import OriginLaw, laws_by_origin
from fitting.runs.axis import N_PARAMS
from fitting.runs.loss import loss_in
from fitting.runs.read import complete
from harness.experiments import ORIGIN_SHARES, make_records, with_origins


def records() -> pd.DataFrame:
    return complete(with_origins(make_records()))


def by_class(found: pd.DataFrame) -> dict[str, OriginLaw]:
    runs = found[found["arch"] == "lstm"]
    return {law.origin: law for law in laws_by_origin(runs, N_PARAMS, ())}


def test_a_class_that_falls_has_its_law() -> None:
    laws = by_class(records())
    assert list(laws) == list(ORIGIN_SHARES)
    assert laws["repeat"].verdict.word == "supported"
    assert laws["repeat"].alpha_interval.low < 0.7 < laws["repeat"].alpha_interval.high
    assert laws["new"].alpha_interval.low < 0.3 < laws["new"].alpha_interval.high
    assert laws["new"].share == pytest.approx(0.75)
    assert laws["new"].at_largest == pytest.approx(6 * 3e5**-0.3 + 1.5, rel=0.01)
    assert laws["new"].error == pytest.approx(0.01)


def test_a_class_that_rises_has_none_and_says_so() -> None:
    verdict = by_class(records())["broken"].verdict
    assert verdict.word == "not supported"
    assert "rise" in verdict.reasons[0]


def test_runs_that_were_not_measured_by_class_are_left_out() -> None:
    found = records()
    found.loc[found["n_params"] > 1e4, "val_loss_new"] = float("nan")
    law = by_class(found)["new"]
    assert law.at_largest > 6 * 1e4**-0.3 + 1.5 - 0.05
    assert by_class(complete(make_records())) == {}


def test_a_law_of_one_class_is_fitted_by_its_name_and_has_no_classes() -> None:
    analysis = analyse(records(), loss="val_loss_repeat")
    assert analysis.loss.known
    assert analysis.loss.unit == "nats per token"
    assert 0.6 < analysis.laws["lstm"].alpha < 0.8
    assert analysis.laws["lstm"].by_origin == ()


def test_what_a_class_is_stands_in_the_meaning_of_its_loss() -> None:
    assert "something else follows" in loss_in("test_loss_broken").meaning
