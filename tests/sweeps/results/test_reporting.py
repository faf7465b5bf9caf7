"""The end of a sweep waits for MLflow as long as that goes on, and says what it answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sweeps.results import reporting
from sweeps.sweep import Sweep


class Remote:
    """A method of an actor, for a `ray.get` that calls."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.remote = lambda: call


class FakeTracker:
    def __init__(self, pending: list[int], refusal: str = "") -> None:
        """pending: what it answers, one after another; the last one stays."""

        def waits() -> int:
            return pending.pop(0) if len(pending) > 1 else pending[0]

        self.pending, self.refusal = Remote(waits), Remote(lambda: refusal)


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.get", lambda call: call())
    monkeypatch.setattr(reporting, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def test_a_slow_mlflow_is_waited_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert reporting.stored(FakeTracker([*range(500, -1, -1)]))
    assert capfd.readouterr().out == ""


def test_what_waits_is_told_with_the_answer(capfd: pytest.CaptureFixture[str]) -> None:
    answer = "http://mlflow answered: no; set MLFLOW_TRACKING_TOKEN"
    assert not reporting.stored(FakeTracker([3], answer))
    assert capfd.readouterr().out == (
        f"MLflow at {answer}. 3 writes wait. The records are safe; the same command sends them "
        "again.\n"
    )


def test_what_was_refused_is_not_stored(capfd: pytest.CaptureFixture[str]) -> None:
    assert not reporting.stored(FakeTracker([0], "http://mlflow answered: the run is deleted"))
    assert "the run is deleted. What it refused is left out." in capfd.readouterr().out


def test_what_counting_reaches_on_the_data_is_told_beside_the_laws(sweep: Sweep) -> None:
    def told() -> list[str]:
        analysis = reporting.analysis_of(sweep, reporting.ended(sweep))
        assert analysis is not None
        return [line for line in analysis.lines() if "Counting" in line or "Baselines" in line]

    assert told() == []
    counted = {"schema": 1, "data": "fake", "baselines": {"5-gram": {"val_loss": 1.5}}}
    file = sweep.data("abc") / "baselines.json"
    file.write_text(json.dumps(counted))
    assert told() == ["Counting alone, in nats per token: 5-gram 1.500"]
    # Those of other data are no reason to have no law.
    file.write_text(json.dumps(counted | {"data": "other"}))
    (line,) = told()
    assert line.startswith(f"Baselines are left out: {file}: found baselines of data other")
