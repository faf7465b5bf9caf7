"""The best cell of a grid, trained on for longer when all others have ended: `best` in a grid.

It is in no law, for its budget is another. Which one it is stands in a file, `trainers.best.Bests`:
what is there is what is shown, until a grid that has grown makes another the best.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data.errors import one_line
from data.store.versioned import VersionError
from sweeps.console import say
from sweeps.sweep import Listed, Sweep
from trainers.batches import in_batches
from trainers.best import (
    Best,
    Bests,
    best_file,
    in_epochs,
    lowest,
    read_bests,
    write_bests,
)
from trainers.names import names
from trainers.records import Record

if TYPE_CHECKING:
    from trainers.cell import Cell


@dataclass(frozen=True)
class Chosen:
    """A cell of the grid, and for how many tokens it is to be trained."""

    of: Listed
    tokens: int

    @property
    def fields(self) -> dict[str, object]:
        return self.of.fields | {"tokens": self.tokens}


@dataclass(frozen=True)
class Standing:
    """How far the best of a grid is."""

    why_not: str = ""
    """In a sentence, why there is none to train on (yet)."""
    chosen: Chosen | None = None
    begun: Best | None = None
    """What was chosen, once it has begun."""
    record: Record | None = None
    """Of how it ended."""

    @property
    def to_train(self) -> bool:
        return self.chosen is not None and self.record is None

    @property
    def is_well(self) -> bool:
        """Whether it has finished, or there is none."""
        return self.chosen is None or (self.record is not None and self.record.status == "finished")


def standing(sweep: Sweep) -> Standing:
    if not sweep.best_epochs:
        return Standing()
    chosen = _choice(sweep)
    if isinstance(chosen, str):
        return Standing(chosen)
    best = shown(sweep)
    if best is None or (best.of, best.tokens) != (chosen.of.key, chosen.tokens):
        return Standing("", chosen)
    return Standing("", chosen, best, sweep.records([best.cell]).get(best.cell))


def _choice(sweep: Sweep) -> Chosen | str:
    """What to train on, or in a sentence why nothing."""
    cells, epochs = sweep.listed(), sweep.best_epochs
    records = sweep.records(cell.key for cell in cells)
    if waiting := len(cells) - len(records):
        return f"The best waits for other cells to end: {waiting}; the same command goes on."
    finished = {key: each for key, each in records.items() if each.status == "finished"}
    if not finished:
        return "There is no best to train on: no cell has finished."
    best = lowest({key: each.measured["val_loss"] for key, each in finished.items()})
    of = next(cell for cell in cells if cell.key == best)
    (manifest,) = sweep.manifests()
    passes = epochs * manifest.splits["train"]["tokens"]
    chosen = Chosen(of, in_batches(passes, of.fields["batch_tokens"]))
    why = ""
    if chosen.tokens <= of.fields["tokens"]:
        seen = f"it has seen {of.fields['tokens']:,} tokens"
        why = f"{seen}, and {in_epochs(epochs)} are {chosen.tokens:,}"
    elif any(cell.fields == chosen.fields for cell in cells):
        why = f"the grid has it for {in_epochs(epochs)}"
    return f"The best, {called(sweep)[best]}, is not trained on: {why}." if why else chosen


def shown(sweep: Sweep) -> Best | None:
    """The best that is trained on, or was; None if none has begun. What is wrong with the file that
    says so is told."""
    return _bests(sweep).shown


def has_ended(sweep: Sweep) -> bool:
    """Whether what is shown has."""
    best = shown(sweep)
    return best is not None and bool(sweep.records([best.cell]))


def _bests(sweep: Sweep) -> Bests:
    try:
        return read_bests(sweep.folder)
    except VersionError as error:
        say(one_line(error))
        return Bests()


def listed(chosen: Chosen, best: Best) -> Listed:
    """It as a cell of the sweep."""
    steps = best.tokens // chosen.of.fields["batch_tokens"]
    known = {"steps": steps, "target": False, "trunk_steps": best.trunk_steps}
    return replace(chosen.of, key=best.cell, fields=chosen.fields, **known)


def called(sweep: Sweep) -> dict[str, str]:
    """The names of the grid's cells, by key."""
    return names({cell.key: cell.fields for cell in sweep.listed()})


def begin(sweep: Sweep, chosen: Chosen) -> tuple[Best, Cell]:
    """Have the file name what was chosen; another that it named is kept as one of before."""
    from trainers.cell import Cell

    cell = Cell.of(chosen.fields)
    best = Best(cell.key, chosen.of.key, sweep.best_epochs, cell.tokens, cell.trunk_steps)
    still = {cell.key for cell in sweep.listed()} | {best.cell}
    before = [other for other in _bests(sweep).every if other.cell not in still]
    write_bests(sweep.folder, Bests(best, before))
    return best, cell


def came_from(sweep: Sweep, keys: Iterable[str]) -> list[str]:
    """The keys of the bests that came from these cells, which go where those go."""
    wanted = set(keys)
    return [best.cell for best in _bests(sweep).every if best.of in wanted]


def forget(sweep: Sweep, keys: Iterable[str]) -> None:
    """Have the file name none of these bests any more; what was exported of them goes as well."""
    gone, there = set(keys), _bests(sweep)
    left = [best for best in there.every if best.cell not in gone]
    if there.shown and there.shown not in left:
        sweep.best.delete()
    if not left:
        best_file(sweep.folder).delete()
    elif len(left) < len(there.every):
        kept = [best for best in left if best != there.shown]
        write_bests(sweep.folder, Bests(there.shown if there.shown in left else None, kept))
