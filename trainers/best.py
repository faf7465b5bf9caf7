"""The best of a sweep, trained on: which cell that is, and of which it is the longer training.

A file beside the cells says so. A cell's own files cannot: the same cell may be one of a grid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from data.store.location import Location
from data.store.versioned import Word, read_versioned
from trainers.records import Count, Positive


@dataclass(frozen=True)
class Best:
    cell: Word
    """Its key."""
    of: Word
    """The key of the cell that came out best."""
    epochs: Positive
    """Passes over the training split."""
    tokens: Count
    """The same in tokens, in whole batches."""
    trunk_steps: int = 0
    """As `trainers.cell.Cell` has them."""

    @property
    def note(self) -> str:
        return f"best, {in_epochs(self.epochs)}"


@dataclass(frozen=True)
class Bests:
    """The file."""

    shown: Best | None = None
    before: list[Best] = field(default_factory=list)
    """Those that another has replaced: they keep their records, and are shown no more."""
    schema: int = 1

    @property
    def every(self) -> list[Best]:
        return [*([self.shown] if self.shown else []), *self.before]


def lowest(losses: Mapping[str, float]) -> str:
    """What "the best" is of some cells: the key of the lowest validation loss, and of equals the
    first. losses: by key, at least one."""
    return min(losses, key=losses.__getitem__)


def best_name(fields: Mapping[str, Any]) -> str:
    """How the one that is shown is called; fields: those of its cell."""
    return f"{fields['arch']}-{fields['size']}-seed{fields['seed']}-best"


def in_epochs(epochs: float) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs:g} epochs"


def best_file(sweep: Location) -> Location:
    """sweep: its folder."""
    return sweep / "best.json"


def read_bests(sweep: Location) -> Bests:
    """Those of a sweep's folder; none where there is no file. Raises VersionError."""
    try:
        return read_versioned(best_file(sweep), Bests, 1, "remove it; the sweep makes it again")
    except FileNotFoundError:
        return Bests()


def write_bests(sweep: Location, bests: Bests) -> None:
    best_file(sweep).write_text(json.dumps(asdict(bests), indent=1))
