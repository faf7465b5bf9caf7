"""A cell's checkpoint: a file and its checksum, renamed into place; loading it runs no code."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from pyarrow import fs

from data.errors import printable
from data.store.location import Location, synced
from trainers.saved import CHECKSUM, STATE, newest_first, next_name


class CheckpointError(RuntimeError):
    """A checkpoint that belongs to another cell or is damaged; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class DamagedError(CheckpointError):
    """A checkpoint that is incomplete or altered. An older one may be intact."""


def save(folder: Location, state: dict[str, Any]) -> Location:
    """Write `state` (tensors, numbers, strings, lists and dicts of them) below a folder.

    Returns its folder, a new one at each call, so that the existing checkpoint stays whole until
    this one is. Raises OSError, having removed what was written: on a full disk, half a checkpoint
    would keep the disk full.
    """
    place = folder / next_name(state["step"])
    try:
        with place.writing_folder() as written:
            aside = written / f"{STATE}.tmp"
            # Via memory: on a full disk, torch.save would raise an error that is not an OSError.
            buffer = io.BytesIO()
            torch.save(state, buffer)
            aside.write_bytes(buffer.getbuffer())
            synced(aside)
            (written / CHECKSUM).write_text(_digest(aside))
            os.replace(aside, written / STATE)
    except OSError:
        place.delete()
        raise
    return place


def save_next(folder: Location, state: dict[str, Any]) -> None:
    """Save beside the newest checkpoint and remove the older ones: there are always one or two."""
    before = newest_first(folder)
    save(folder, state)
    for older in before[1:]:
        older.delete()


def restore(folder: Location, cell_key: str) -> dict[str, Any] | None:
    """The state of the newest intact checkpoint, or None if there is none.

    Raises CheckpointError if it is not `cell_key`'s.
    """
    for place in newest_first(folder):
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
    path = folder / STATE
    if not path.exists() or not (folder / CHECKSUM).exists():
        raise DamagedError(f"{place}: the checkpoint is incomplete")
    if _digest(path).encode() != (folder / CHECKSUM).read_bytes():
        raise DamagedError(f"{place}: the checksum of {STATE} does not match")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Which one depends on what the file is instead.
        raise DamagedError(f"{place}: {STATE} is no checkpoint ({type(error).__name__})") from None
    if not isinstance(state, dict) or not {"cell_key", "step", "model"} <= state.keys():
        raise DamagedError(f"{place}: {STATE} holds no cell")
    if state["cell_key"] != cell_key:
        raise CheckpointError(
            f"{place} belongs to cell {state['cell_key']}, expected {cell_key}; use another folder"
        )
    return state


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
