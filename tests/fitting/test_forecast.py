"""A forecast is made from what has ended alone, by the law that its target lies on."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.analysis import analyse
from fitting.forecast import (
    Forecast,
    ForecastError,
    Prediction,
    digest,
    forecast,
    read_json,
    records_digest,
    to_json,
)
from fitting.law.intervals import Interval, prediction_interval
from fitting.runs.read import complete
from fitting.surface.law import surface_law
from harness.experiments import TRUE_LAWS, make_records
from tests.fitting.conftest import make_isoflop_records

NOISY, TRUE = (complete(make_records(seeds=3, sizes=9, noise=noise)) for noise in (0.003, 0.0))
LARGEST = NOISY["n_params"].max()
BASE, TARGETS = NOISY[NOISY["n_params"] < LARGEST], TRUE[TRUE["n_params"] == LARGEST]
RECORDS = pd.concat([BASE, TARGETS])


def made(base: pd.DataFrame, targets: pd.DataFrame) -> Forecast:
    names = {key: f"the {key}" for key in targets["cell_key"]}
    return forecast(base, targets, names, time="2026-11-26T18:00:00Z", code="abc1234")


def only(base: pd.DataFrame, targets: pd.DataFrame) -> Prediction:
    (prediction,) = made(base, targets).predictions
    return prediction


def test_targets_that_differ_in_their_seed_share_the_prediction_of_their_law() -> None:
    found = made(BASE, TARGETS)
    assert [len(p.targets) for p in found.predictions] == [3, 3]
    for prediction, arch in zip(found.predictions, ("transformer", "lstm")):
        law = analyse(BASE).laws[arch]
        assert law.fit is not None
        assert prediction.loss == pytest.approx(float(law.fit.predict(LARGEST)), abs=1e-12)
        assert prediction.interval == prediction_interval(law.fit, LARGEST)
        assert prediction.mean_interval == prediction_interval(law.fit, LARGEST, new_runs=3)
        assert prediction.verdict == law.verdict.word
        assert "from 24 runs of 8 sizes" in prediction.law
        a, alpha, c = TRUE_LAWS[arch]
        assert prediction.interval is not None
        assert a * LARGEST**-alpha + c in prediction.interval


def test_a_measurement_of_the_target_changes_nothing() -> None:
    worse = TARGETS.assign(val_loss=9.0)
    assert made(BASE, worse) == made(BASE, TARGETS)


@pytest.mark.parametrize(
    "other", [{"lr": 0.02}, {"context": "512"}, {"tokenizer": "remi"}, {"schedule": "wsd"}]
)
def test_only_runs_that_share_the_targets_settings_are_used(other: dict) -> None:
    beside = BASE.assign(**other, val_loss=3.0, cell_key=BASE["cell_key"] + "-other")
    both = pd.concat([BASE, beside], ignore_index=True)
    assert made(both, TARGETS).predictions == made(BASE, TARGETS).predictions


def test_a_second_budget_makes_no_surface_and_the_targets_own_is_used() -> None:
    short = BASE.assign(tokens=1e6, val_loss=3.0, cell_key=BASE["cell_key"] + "-short")
    both = pd.concat([BASE, short], ignore_index=True)
    assert made(both, TARGETS).predictions == made(BASE, TARGETS).predictions


def test_runs_at_the_targets_tokens_a_parameter_lie_on_one_law() -> None:
    along = RECORDS.assign(tokens=20 * RECORDS["n_params"])
    base, targets = (along[along["cell_key"].isin(f["cell_key"])] for f in (BASE, TARGETS))
    for prediction in made(base, targets).predictions:
        assert "at 20 tokens per parameter" in prediction.law
        assert prediction.loss == pytest.approx(TARGETS["val_loss"].mean(), rel=0.1)


def test_other_budgets_are_forecast_by_the_surface() -> None:
    runs = complete(make_isoflop_records(unique=1e12))
    largest = runs["flops"] > 0.9e18
    targets = runs[largest].iloc[[4]]
    prediction = only(runs[~largest], targets)
    assert prediction.law.startswith("L(N, D) = ")
    assert prediction.verdict in ("supported", "weak")
    assert prediction.interval is not None
    assert prediction.mean_interval == prediction.interval
    assert targets["val_loss"].iloc[0] in prediction.interval


def test_the_mean_of_several_runs_is_known_better_than_one_on_a_surface_as_well() -> None:
    law = surface_law(complete(make_isoflop_records(unique=1e12)))
    assert law is not None
    one, many = (law.prediction(1e7, 1e9, runs=k) for k in (1, 100))
    assert one.low < many.low < many.high < one.high


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        (
            BASE[BASE["n_params"] < 5000],
            "1 size finished with its settings at 3,000,000 tokens; a forecast needs 4",
        ),
        (BASE.assign(status="failed"), "0 sizes finished"),
        (BASE.head(0), "0 sizes finished"),
        (BASE[BASE["arch"] == "other"], "0 sizes finished"),
    ],
)
def test_where_no_law_can_be_fitted_the_reason_stands_in_place_of_a_loss(
    base: pd.DataFrame, reason: str
) -> None:
    for prediction in made(base, TARGETS).predictions:
        assert (prediction.loss, prediction.interval) == (None, None)
        assert reason in prediction.reason


def test_a_run_that_failed_weakens_the_verdict() -> None:
    failed = BASE.assign(status=["failed"] + ["finished"] * (len(BASE) - 1))
    assert made(BASE, TARGETS).predictions[0].verdict == "supported"
    assert made(failed, TARGETS).predictions[0].verdict == "weak"


def test_its_text_comes_back_and_any_change_of_it_changes_its_digest() -> None:
    found = made(BASE, TARGETS)
    text = to_json(found)
    assert read_json(text) == found
    assert to_json(read_json(text)) == text
    assert digest(text + " ") != digest(text)


numbers = st.floats(1e-3, 1e12)
intervals = st.none() | st.builds(Interval, numbers, numbers | st.just(float("inf")))
predictions = st.builds(
    Prediction,
    targets=st.lists(st.text(), max_size=3).map(tuple),
    names=st.lists(st.text(), max_size=3).map(tuple),
    n_params=numbers,
    tokens=numbers,
    loss=st.none() | numbers,
    interval=intervals,
    mean_interval=intervals,
    law=st.text(),
)


@given(
    st.builds(
        Forecast,
        st.lists(predictions, max_size=3).map(tuple),
        st.lists(st.text(), max_size=3).map(tuple),
        st.text(),
        st.text(),
        st.text(),
    )
)
def test_any_forecast_comes_back_from_its_text(one: Forecast) -> None:
    assert read_json(to_json(one)) == one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a forecast"),
        ("[]", "not a forecast"),
        ("{}", "not a forecast"),
        ('{"schema": 9}', "has schema 9; this version reads 1"),
        ('{"schema": "<b>"}', "has schema '<b>'"),
        ('{"schema": 1, "predictions": [3]}', "not a forecast"),
        ('{"schema": 1, "predictions": [{"loss": "<b>"}]}', "'<b>'; expected a number"),
        ('{"schema": 1, "predictions": [{"loss": NaN}]}', "nan; expected a number"),
        ('{"schema": 1, "predictions": [], "time": 3}', "3; expected a text"),
    ],
)
def test_what_is_no_forecast_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ForecastError, match=message) as refused:
        read_json(text)
    assert "\n" not in str(refused.value)


@settings(max_examples=20)
@given(st.permutations(range(len(BASE))))
def test_the_digest_of_records_knows_no_order(order: list[int]) -> None:
    assert records_digest(BASE.iloc[order]) == records_digest(BASE)


def test_the_digest_of_records_knows_every_loss_and_no_clock() -> None:
    assert records_digest(BASE.assign(seconds=1.0)) == records_digest(BASE)
    changed = BASE.assign(val_loss=BASE["val_loss"] * (1 + 1e-15))
    assert records_digest(changed) != records_digest(BASE)


def test_its_text_is_json_that_names_its_units_of_account() -> None:
    values = json.loads(to_json(made(BASE, TARGETS)))
    assert values["schema"] == 1
    assert values["level"] == 0.95
    assert values["records"] == sorted(BASE["cell_key"])
