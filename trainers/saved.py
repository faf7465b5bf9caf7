"""The checkpoints in a folder, found by name: imports no PyTorch and reads no file."""

from __future__ import annotations

import re
import time

from data.store.location import Location

STATE = "state.pt"
CHECKSUM = "state.sha256"

TRUNK = "-trunk-"
"""Marks the name of a trunk's folder, as opposed to a cell's."""

_NAME = re.compile(r"checkpoint_(\d{9})_[0-9a-f]+")


def next_name(step: int) -> str:
    """A name for a checkpoint after `step` steps, different at each call."""
    return f"checkpoint_{step:09d}_{time.time_ns():x}"


def is_trunk(folder: Location) -> bool:
    return TRUNK in folder.name


def step_of(checkpoint: Location) -> int:
    """The number of steps after which a checkpoint was saved."""
    match = _NAME.fullmatch(checkpoint.name)
    assert match is not None
    return int(match[1])


def newest_first(folder: Location) -> list[Location]:
    """The checkpoints in a folder, complete or not, those with the most steps first."""
    found = [child for child in folder.children() if _NAME.fullmatch(child.name)]
    return sorted(found, reverse=True)


def is_whole(checkpoint: Location) -> bool:
    """Whether it was written completely; its checksum may still show damage."""
    return (checkpoint / STATE).exists() and (checkpoint / CHECKSUM).exists()


def newest_step(folder: Location, up_to: float = float("inf")) -> int | None:
    """The step of the newest whole checkpoint, or None if there is none.

    up_to: checkpoints with more steps are ignored.
    """
    for place in newest_first(folder):
        if step_of(place) <= up_to and is_whole(place):
            return step_of(place)
    return None
