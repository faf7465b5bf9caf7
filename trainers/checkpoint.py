"""A cell's checkpoint: a file and its checksum, written aside and renamed, loaded as tensors."""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from pyarrow import fs

from data.store.location import Location

_NAME = re.compile(r"checkpoint_\d{9}_[0-9a-f]+")
_STATE = "state.pt"
_CHECKSUM = "state.sha256"


class CheckpointError(RuntimeError):
    """A checkpoint that is of another cell, or damaged; the message is one line."""


class DamagedError(CheckpointError):
    """A checkpoint that is incomplete or not what was written. An older one may be sound."""


def save(cell: Location, state: dict[str, Any]) -> Location:
    """Write `state` (tensors, numbers, strings, lists and dicts of them) into a cell's folder.

    A new one at each call, for Ray Train removes old checkpoints by their names; returned.
    Raises OSError, and then leaves nothing: a full disk would stay full while it holds a half.
    """
    place = cell / f"checkpoint_{state['step']:09d}_{time.time_ns():x}"
    try:
        with place.writing_folder() as folder:
            aside = folder / f"{_STATE}.tmp"
            # By way of memory: on a full disk torch.save would raise what is no OSError.
            buffer = io.BytesIO()
            torch.save(state, buffer)
            aside.write_bytes(buffer.getbuffer())
            (folder / _CHECKSUM).write_text(_digest(aside))
            os.replace(aside, folder / _STATE)
    except OSError:
        place.delete()
        raise
    return place


def newest_first(cell: Location) -> list[Location]:
    """The checkpoints in a cell's folder.

    All of them, and not the one on Ray's list alone, so that a damaged one costs one interval and
    not the cell.
    """
    found = [child for child in cell.children() if _NAME.fullmatch(child.name)]
    return sorted(found, reverse=True)


def restore(cell: Location, cell_key: str) -> dict[str, Any] | None:
    """The state of the newest checkpoint that is sound, or None if there is none.

    Raises CheckpointError if it is not `cell_key`'s.
    """
    for place in newest_first(cell):
        try:
            return load(place, cell_key)
        except DamagedError as error:
            print(f"{error}; going on from the one before", file=sys.stderr)
    return None


def load(place: Location, cell_key: str) -> dict[str, Any]:
    """The state in a folder that `save` returned. Raises CheckpointError if it is damaged or not
    `cell_key`'s."""
    if place.local is not None:
        return _load(place.local, place, cell_key)
    with tempfile.TemporaryDirectory() as copy:
        fs.copy_files(place.path, copy, source_filesystem=place.filesystem)
        return _load(Path(copy), place, cell_key)


def _load(folder: Path, place: Location, cell_key: str) -> dict[str, Any]:
    path = folder / _STATE
    if not path.exists() or not (folder / _CHECKSUM).exists():
        raise DamagedError(f"{place}: the checkpoint is incomplete")
    if _digest(path) != (folder / _CHECKSUM).read_text():
        raise DamagedError(f"{place}: the checksum of {_STATE} does not match")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["cell_key"] != cell_key:
        raise CheckpointError(
            f"{place} belongs to cell {state['cell_key']}, expected {cell_key}; use another folder"
        )
    return state


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
