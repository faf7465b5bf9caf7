"""A listener that writes records, as a sweep's does, and tells nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from data.store.location import Location
from trainers.cell import Cell
from trainers.curve import Point
from trainers.job import Listener, Outcome
from trainers.records import Record, read_record, write_record


def listener(
    storage: Path,
    points: Callable[[Cell, list[Point]], None] = lambda cell, points: None,
    ended: Callable[[Cell], None] = lambda cell: None,
) -> Listener:
    """ended: called when a cell's record is written, where it was."""

    def write(cell: Cell, outcome: Outcome) -> None:
        record = Record(cell.key, params=cell.params(), ended=time.time(), **vars(outcome))
        write_record(Location.of(storage), record)
        ended(cell)

    return Listener(began=lambda cell: None, points=points, ended=write, leave=lambda: False)


def record_of(storage: Path, cell: Cell) -> Record:
    found = read_record(Location.of(storage), cell.key)
    assert found is not None
    return found
