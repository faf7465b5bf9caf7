"""A cell's checkpoint: a file and its checksum, written aside and renamed, loaded as tensors."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from data.storage import Location

_STATE = "state.pt"
_CHECKSUM = "state.sha256"


class CheckpointError(RuntimeError):
    """A checkpoint that is of another cell, or damaged; the message is one line."""


class DamagedError(CheckpointError):
    """A checkpoint that is incomplete or not what was written. An older one may be sound."""


def newest_first(folder: Location) -> list[Location]:
    """The checkpoints that Ray Train left in a cell's folder, which it names by date and time.

    All of them, and not the one on Ray's list alone, so that a damaged one costs one interval and
    not the cell.
    """
    return [found for found in reversed(folder.children()) if found.name.startswith("checkpoint_2")]


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of them) to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{_STATE}.tmp"
    torch.save(state, aside)
    (folder / _CHECKSUM).write_text(_digest(aside))
    os.replace(aside, folder / _STATE)


def load(folder: Path, cell_key: str) -> dict[str, Any]:
    """The state that `save` wrote. Raises CheckpointError if it is damaged or not `cell_key`'s."""
    path = folder / _STATE
    if not path.exists() or not (folder / _CHECKSUM).exists():
        raise DamagedError(
            f"{folder}: the checkpoint is incomplete; remove it to go on from the one before"
        )
    if _digest(path) != (folder / _CHECKSUM).read_text():
        raise DamagedError(
            f"{path}: the checksum does not match; remove it to go on from the one before"
        )
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["cell_key"] != cell_key:
        raise CheckpointError(
            f"{path} belongs to cell {state['cell_key']}, expected {cell_key}; use another folder"
        )
    return state


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
