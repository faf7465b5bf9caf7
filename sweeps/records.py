"""A record as `fitting` reads it."""

from __future__ import annotations

from typing import Any

from data.store.location import Location
from data.store.versioned import VersionError
from fitting.contract import FIRST, METRICS, PARAMS, shape_text
from trainers.records import REMEDY, Record, read_record, record_path


def read(cells: Location, key: str) -> Record | None:
    """The record of a cell, or None if it has not ended.

    Raises VersionError also if a finished one lacks a metric of the contract, which would otherwise
    leave a silent gap.
    """
    record = read_record(cells, key)
    if record and record.status == "finished":
        for name in METRICS:
            if name not in record.measured:
                raise VersionError(
                    f"{record_path(cells, key)}: found no {name}, which every finished cell "
                    f"measures; {REMEDY}"
                )
    return record


def row(record: Record) -> dict[str, Any]:
    """One row of the table of runs, by the names of `fitting.contract`."""
    # A record from before a setting was added lacks it.
    params = FIRST | record.params
    fields = {name: params[name] for name in PARAMS if name in params}
    fields["shape"] = shape_text(record.params)
    ended = {"cell_key": record.cell_key, "status": record.status, "reason": record.reason}
    curve = [
        (point["tokens"], point["train_loss"]) for point in record.curve if "train_loss" in point
    ]
    return ended | fields | record.measured | {"train_curve": curve}
