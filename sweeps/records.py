"""A record as `fitting` reads it."""

from __future__ import annotations

from typing import Any

from fitting.contract import FIRST, PARAMS, shape_text
from trainers.records import Record


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
