"""What came is set beside what was forecast, and a forecast that was changed is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fitting import report
from fitting.analysis import analyse
from fitting.forecast import Forecast, digest, forecast, to_json
from fitting.outcomes import WAITING, Review, outcomes, review
from fitting.page import report_page
from tests.conftest import Opened
from tests.fitting.test_forecast import BASE, RECORDS, TARGETS, made

FORECAST = made(BASE, TARGETS)
TEXT = to_json(FORECAST)
CARRIED = dict.fromkeys(TARGETS["cell_key"], digest(TEXT))


def reviewed(
    records: pd.DataFrame = RECORDS,
    text: str | None = TEXT,
    carried: dict[str, str] | None = None,
    in_mlflow: str | None = digest(TEXT),
) -> Review:
    return review(text, records, CARRIED if carried is None else carried, in_mlflow)


def test_every_target_stands_beside_its_measurement_and_seeds_beside_their_mean() -> None:
    found = outcomes(FORECAST, RECORDS)
    assert [each.runs for each in found] == [1, 1, 1, 3, 1, 1, 1, 3]
    measured = RECORDS.set_index("cell_key")["val_loss"]
    for prediction, four in zip(FORECAST.predictions, (found[:4], found[4:])):
        losses = [measured[key] for key in prediction.targets]
        assert [each.measured for each in four[:3]] == losses
        assert four[3].measured == pytest.approx(sum(losses) / 3)
        assert four[3].interval == prediction.mean_interval
        for each in four:
            assert each.measured is not None
            assert prediction.loss is not None
            assert each.relative_error == pytest.approx(prediction.loss / each.measured - 1)


def test_what_a_forecast_says_is_shown_and_not_obeyed() -> None:
    name = next(iter(FORECAST.targets.values()))
    text = TEXT.replace(f'"{name}"', rf'"{name}\u001b[31m"')
    found = reviewed(
        text=text, carried=dict.fromkeys(CARRIED, digest(text)), in_mlflow=digest(text)
    )
    lines = found.lines()
    assert all(line.isprintable() for line in lines)
    assert any(rf"{name}\x1b[31m" in line for line in lines)


def test_one_sentence_says_how_many_fell_inside() -> None:
    assert reviewed().sentence() == (
        "6 of 6 targets fell inside the 95 % interval forecast before the first of them trained."
    )
    ended = RECORDS.copy()
    first, second, third = TARGETS.index[:3]
    ended.loc[first, "val_loss"] *= 1.2
    ended.loc[second, "status"] = "diverged"
    assert reviewed(ended.drop(third)).sentence() == (
        "3 of 4 targets fell inside the 95 % interval forecast before the first of them trained; "
        "1 has not ended; 1 has no loss to compare."
    )


def test_what_has_not_ended_has_no_outcome_yet() -> None:
    assert reviewed(BASE, carried={}).lines()[-1] == (
        "Forecast: No target can be compared with its forecast yet; 6 have not ended."
    )
    for each in outcomes(FORECAST, BASE):
        assert (each.status, each.measured, each.inside) == (WAITING, None, None)


def test_targets_without_a_forecast_are_told_with_the_reason() -> None:
    none = made(BASE.head(2), TARGETS)
    found = review(to_json(none), RECORDS, {}, None)
    assert found.sentence().endswith("6 have no forecast.")
    assert "-0  no forecast: 1 size finished" in found.lines()[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"text": TEXT.replace('"code": "abc1234"', '"code": "abc1235"')}, "in MLflow with"),
        ({"text": TEXT.replace("\n", "\r\n"), "in_mlflow": None}, "record with"),
        ({"carried": CARRIED | {TARGETS["cell_key"].iloc[1]: ""}}, "record with nothing"),
        ({"in_mlflow": "0" * 64}, "in MLflow with 000000000000"),
        ({"text": None}, "forecast.json is gone"),
        ({"text": "{"}, "is not a forecast"),
    ],
)
def test_a_forecast_that_was_changed_is_not_shown_as_registered(
    changed: dict, message: str, tmp_path: Path
) -> None:
    found = reviewed(**changed)
    assert message in found.problem
    assert found.outcomes == ()
    (line,) = found.lines()
    assert found.problem in line
    assert "\n" not in line
    shown = report_page.html(analyse(RECORDS), review=found)
    assert message in shown
    assert "Registered" not in shown


def test_runs_that_came_or_changed_afterwards_are_said_and_change_nothing() -> None:
    assert reviewed().notes == ()
    before = reviewed().outcomes
    more = BASE.head(2).assign(cell_key=["new1", "new2"])
    for records, note in (
        (pd.concat([RECORDS, more]), "2 cells have ended since"),
        (RECORDS.assign(val_loss=RECORDS["val_loss"] * 1.0001), "have changed since"),
        (RECORDS.drop(BASE.index[0]), "1 of the 48 records it was made from are gone"),
    ):
        found = reviewed(records)
        assert note in " ".join(found.notes)
        assert [e.predicted for e in found.outcomes] == [e.predicted for e in before]


def test_it_is_part_of_fit_json_and_of_the_page(tmp_path: Path) -> None:
    written = report.write(analyse(RECORDS), tmp_path, reviewed())
    assert digest(TEXT) in written["fit.json"].read_text()
    shown = written["report.html"].read_text()
    assert "6 of 6 targets fell inside" in shown
    assert shown.count("<td>yes</td>") == 8
    assert "Forecast and outcome" not in report_page.html(analyse(RECORDS))


def hostile() -> Forecast:
    """A forecast whose names are markup."""
    names = {key: f"<b onclick='x()'>{key}" for key in TARGETS["cell_key"]}
    return forecast(BASE, TARGETS, names, time="<i>", code="<script>alert(1)</script>")


def test_whatever_it_says_is_text_on_the_page() -> None:
    shown = report_page.html(analyse(RECORDS), review=review(to_json(hostile()), RECORDS, {}, None))
    assert "&lt;b onclick" in shown
    assert "<b onclick" not in shown
    assert "<script>alert" not in shown


@pytest.mark.slow
def test_it_is_readable_on_a_phone(open_page: Callable[[str, int], Opened]) -> None:
    opened = open_page(report_page.html(analyse(RECORDS), review=reviewed()), 390)
    tab = opened.tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.locator("text=6 of 6 targets fell inside").is_visible()
    assert not opened.wrong
