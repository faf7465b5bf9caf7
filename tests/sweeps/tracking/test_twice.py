"""What was trained twice is what MLflow had before: it keeps the first of two values of a step."""

from __future__ import annotations

from sweeps.tracking.twice import twice

CURVE = [
    {"tokens": tokens, "time": 100.0 + tokens, "tokens_per_second": 10.0} for tokens in (10, 20, 40)
]


def test_a_step_that_had_been_made_earlier_was_made_twice() -> None:
    seen = {10: 110_000, 20: 50_000, 40: 60_000}
    assert twice(CURVE, seen) == [(50.0, 10, 1.0), (60.0, 20, 2.0)]


def test_an_undisturbed_curve_has_nothing_twice() -> None:
    assert twice(CURVE, {int(point["tokens"]): int(point["time"] * 1000) for point in CURVE}) == []
    assert twice(CURVE, {}) == []


def test_a_point_without_a_pace_took_no_time_that_is_known() -> None:
    assert twice([{"tokens": 10, "time": 5.0}], {10: 1000}) == [(1.0, 10, 0.0)]
