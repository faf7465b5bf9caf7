"""What a cell took is read off its record: waiting, training, evaluating; and what is reckoned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sweeps.scheduling.paid import Bill, Entry, Spent, Twice, spent, steps_began
from tests.trainers.test_records import RECORD
from trainers.records import Record

PACE = 100.0
"""Tokens a second."""


def point(tokens: int, time: float) -> dict[str, Any]:
    return {"tokens": tokens, "train_loss": 1.0, "tokens_per_second": PACE, "time": time}


def record(*points: tuple[int, float], started: float, ended: float, taken: int = 0) -> Record:
    return replace(
        RECORD,
        curve=[point(*each) for each in points],
        measured=RECORD.measured | {"seconds_evaluate": 2.0},
        started=started,
        ended=ended,
        ran_on={"tokens_from_trunk": taken} if taken else {},
    )


UNDISTURBED = record((100, 104.0), (200, 105.0), (400, 107.5), started=101.0, ended=110.0)


def test_a_cell_waits_trains_evaluates_and_writes() -> None:
    assert steps_began(UNDISTURBED) == 103.0
    # Half a second went to a checkpoint.
    assert spent(UNDISTURBED) == Spent(2.0, 4.5, 2.0, 0.5, resumed=False)
    assert spent(UNDISTURBED).seconds == 110.0 - 101.0


def test_of_a_trunk_only_its_own_steps_are_a_cells() -> None:
    branch = record((100, 11.0), (200, 12.0), (400, 106.0), started=101.0, ended=110.0, taken=200)
    assert spent(branch) == Spent(3.0, 2.0, 2.0, 2.0, resumed=False)


def test_steps_of_attempts_before_count_and_the_time_between_does_not() -> None:
    resumed = record((100, 11.0), (200, 12.0), (400, 106.0), started=101.0, ended=110.0)
    assert spent(resumed) == Spent(3.0, 4.0, 2.0, 2.0, resumed=True)


def test_a_branch_that_was_interrupted_has_made_the_steps_from_its_trunk_on() -> None:
    points = ((100, 11.0), (200, 12.0), (400, 106.0))
    branch = record(*points, started=101.0, ended=110.0, taken=150)
    assert spent(branch) == Spent(3.0, 2.5, 2.0, 2.0, resumed=True)


def test_a_cell_that_was_killed_behind_its_last_step_only_evaluates_again() -> None:
    resumed = record((100, 11.0), (200, 12.0), started=101.0, ended=110.0)
    assert spent(resumed) == Spent(0.0, 2.0, 2.0, 7.0, resumed=True)


def test_a_record_that_tells_little_is_taken_as_it_is() -> None:
    failed = replace(RECORD, status="failed", measured={}, curve=[], started=5.0, ended=8.0)
    assert spent(failed) == Spent(0.0, 0.0, 0.0, 3.0, resumed=False)
    without_pace = replace(RECORD, curve=[{"tokens": 256, "time": 6.0}], started=5.0, ended=8.0)
    assert spent(without_pace).training == 0.0


def entry(key: str, expected: float | None = 3600.0, **more: Any) -> Entry:
    took = Spent(0.0, 7200.0, 0.0, 0.0, resumed=False)
    return Entry(key, expected, more.get("spent", took), more.get("twice", Twice(0, 0.0)), 2.0)


def test_hours_are_those_of_all_that_workers_hold() -> None:
    bill = Bill([entry("a"), entry("b", None)], True, 3.0, 60.0, 90.0)
    assert bill.hours == 8.0
    assert bill.hours_of({"b"}) == 4.0
    assert bill.cost(bill.hours) == 24.0
    # Compared is what something was expected of.
    assert (bill.expected_hours, bill.training_hours) == (2.0, 4.0)
    assert bill.unit == "GPU-hours"


def test_cores_have_no_price() -> None:
    bill = Bill([entry("a")], False, 3.0, 60.0, 90.0)
    assert bill.cost(bill.hours) is None
    assert bill.unit == "core-hours"


def test_interruptions_cost_steps_made_twice_and_the_wait_after_them() -> None:
    waited = Spent(1800.0, 7200.0, 0.0, 0.0, resumed=True)
    first_wait = Spent(1800.0, 7200.0, 0.0, 0.0, resumed=False)
    lost = entry("a", spent=waited, twice=Twice(500, 1800.0))
    bill = Bill([lost, entry("b", spent=first_wait)], True, None, 0.0, 0.0)
    assert bill.interrupted == [lost]
    assert bill.lost_hours == 2.0
    assert lost.hours == pytest.approx(2 * (2.0 + 0.5 + 0.5))
