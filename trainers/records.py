"""Terminal records: one JSON file per cell, written atomically when the cell has ended.

The file alone says that a cell is done. Trackers mirror it. A record may come from another's
folder: what is in it becomes part of names of files, of pages and of laws.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, TypeAdapter
from typing_extensions import TypedDict

from data.store.location import Location
from data.store.versioned import Line, Number, Plain, VersionError, Word, read_versioned

SCHEMA = 2
"""The format's version. The second says what a cell ran on, and has its losses by piece beside
it."""
REMEDY = "remove it to have the cell trained again from its last checkpoint"
AHEAD_SECONDS = 3600
"""Clocks of machines may differ by so much."""
FAR = 2.0
"""A validation loss beyond the training losses by more than this factor is doubtful."""

Count = Annotated[int, Field(gt=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Fields(TypedDict):
    """The fields of `trainers.cell.Cell` as files hold them; those that were added later may be
    absent. A test keeps the two equal, for `Cell` needs PyTorch."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]

    arch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]\w*$", max_length=60)]
    size: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?[kMB]?$", max_length=20)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    lr: Positive
    tokens: Count
    batch_tokens: Count
    context: Count
    weight_decay: NotNegative
    clip: Positive
    tokenizer: Word
    vocab_size: Annotated[int, Field(gt=0, le=2**16)]
    data: Word
    schedule: NotRequired[Word]
    rates: NotRequired[Word]
    boundaries: NotRequired[Word]
    precision: NotRequired[Word]
    optimizer: NotRequired[Word]


class Point(TypedDict):
    """A point of a curve, `trainers.curve.Point`."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]

    tokens: Count
    time: NotNegative


Params = Annotated[dict[Word, Plain], AfterValidator(TypeAdapter(Fields).validate_python)]
"""A cell's fields, with the version of its schedule and its shape where a record has them."""


@dataclass(frozen=True)
class Record:
    cell_key: Word
    status: Annotated[str, StringConstraints(pattern="^(finished|diverged|failed)$")]
    reason: Line
    """Why, if it did not finish; one line."""
    params: Params
    """The cell's configuration and shape."""
    measured: dict[Word, Number]
    """Measurements by the names of `fitting.contract`; empty if it did not finish."""
    curve: list[Annotated[dict[Word, Number], AfterValidator(TypeAdapter(Point).validate_python)]]
    """Points as `trainers.loop` reports them."""
    started: NotNegative
    """When the last attempt began, seconds since the epoch."""
    ended: NotNegative
    forecast: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """sha256 of the forecast that was registered before it trained; "" if it is not a target."""
    ran_on: dict[Word, Any] = field(default_factory=dict)
    """What affects the speed but not the result, as `trainers.job.Outcome` has it."""
    schema: int = SCHEMA


def record_path(cells: Location, key: str) -> Location:
    return cells / key / "record.json"


def read_record(cells: Location, key: str) -> Record | None:
    """The record of the cell with this key, or None if it has not ended.

    Raises VersionError for a file that is no record of this cell, or from a newer version.
    """
    path = record_path(cells, key)
    try:
        record = read_versioned(path, Record, SCHEMA, REMEDY)
    except FileNotFoundError:
        return None
    if record.cell_key != key:
        raise VersionError(f"{path}: found cell_key {record.cell_key}, expected {key}; {REMEDY}")
    for name in ("n_params", "val_loss"):
        value = record.measured.get(name)
        if record.status == "finished" and not (value and 0 < value < math.inf):
            found = f"no {name}" if value is None else f"{name} {value}"
            raise VersionError(f"{path}: found {found}, expected more than 0; {REMEDY}")
    return record


def write_record(cells: Location, record: Record) -> None:
    record_path(cells, record.cell_key).write_text(json.dumps(asdict(record), indent=1))


def doubts(record: Record) -> list[str]:
    """What is said of a record that can be read and is hardly right, a line each."""
    found = []
    if (ahead := record.ended - time.time()) > AHEAD_SECONDS:
        found.append(f"it ended {ahead / 3600:.1f} h ahead of this clock")
    if record.status != "finished" or not record.curve:
        return found
    last, tokens = record.curve[-1]["tokens"], record.params["tokens"]
    if last != tokens:
        found.append(f"its curve ends at {last:,} of {tokens:,} tokens")
    losses = [point["train_loss"] for point in record.curve if "train_loss" in point]
    loss = record.measured["val_loss"]
    if losses and not min(losses) / FAR <= loss <= max(losses) * FAR:
        found.append(f"its val_loss is {loss:.4g}, and its training ended at {losses[-1]:.4g}")
    return found
