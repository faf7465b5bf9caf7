"""A plan says what is forecast, and how long both phases take."""

from __future__ import annotations

from dataclasses import replace

from sweeps.packing import Capacity
from sweeps.plan import Planned, in_phases
from tests.conftest import CELL
from trainers.cell import Placement


def planned(seed: int, seconds: float, target: bool = False) -> Planned:
    cell = replace(CELL, seed=seed)
    return Planned(cell, Placement(), 0.0, seconds, target=target)


def test_targets_begin_when_the_last_of_the_others_has_ended() -> None:
    cells = [planned(0, 30, target=True), planned(1, 10), planned(2, 20)]
    # One phase would take 30 s: the target beside the two others.
    assert in_phases(cells, Capacity(2, 0)) == [20, 30]


def test_without_targets_there_is_one_phase() -> None:
    assert in_phases([planned(1, 10), planned(2, 20)], Capacity(1, 0)) == [30]
