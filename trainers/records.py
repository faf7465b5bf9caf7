"""Terminal records: one JSON file per cell, written atomically when the cell has ended.

The file alone says that a cell is done. Trackers mirror it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from data.store.location import Location
from data.store.versioned import read_versioned

SCHEMA = 2
"""The format's version. The second says what a cell ran on, and has its losses by piece beside
it."""


@dataclass(frozen=True)
class Record:
    cell_key: str
    status: str
    """finished, diverged or failed."""
    reason: str
    """Why, if it did not finish; one line."""
    params: dict[str, Any]
    """The cell's configuration and shape."""
    measured: dict[str, Any]
    """Measurements by the names of `fitting.contract`; empty if it did not finish."""
    curve: list[dict[str, float]]
    """Points as `trainers.loop` reports them."""
    started: float
    """When the last attempt began, seconds since the epoch."""
    ended: float
    forecast: str = ""
    """sha256 of the forecast that was registered before it trained; "" if it is not a target."""
    ran_on: dict[str, Any] = field(default_factory=dict)
    """What affects the speed but not the result, as `trainers.job.Outcome` has it."""
    schema: int = SCHEMA


def record_path(cells: Location, key: str) -> Location:
    return cells / key / "record.json"


def read_record(cells: Location, key: str) -> Record | None:
    """The record of the cell with this key, or None if it has not ended.

    Raises VersionError if a newer version wrote it.
    """
    try:
        return Record(**read_versioned(record_path(cells, key), SCHEMA))
    except FileNotFoundError:
        return None


def write_record(cells: Location, record: Record) -> None:
    record_path(cells, record.cell_key).write_text(json.dumps(asdict(record), indent=1))
