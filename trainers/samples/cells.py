"""The trained models of a sweep, rebuilt from their folders."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from data.errors import one_line
from data.store.location import Location
from data.store.versioned import VersionError
from trainers import checkpoint
from trainers.best import Bests, best_name, lowest, read_bests
from trainers.cell import Cell
from trainers.names import names
from trainers.records import Record, read_record
from trainers.sampling import Model
from trainers.saved import newest_first


class CellError(ValueError):
    """A folder without a trained cell, or with one of another version; the message is one line."""


@dataclass(frozen=True)
class Trained:
    cell: Cell
    folder: Location
    n_params: int
    val_loss: float
    name: str
    """Distinct among the cells of its sweep."""
    note: str = ""
    """What it is beside them: "best, 3 epochs"; "" for a cell of the grid."""

    def model(self) -> Model:
        """The model with the weights of its newest checkpoint. Raises CellError."""
        found = newest_first(self.folder)
        if not found:
            raise CellError(f"{self.folder}: no checkpoint; the cell has to be trained again")
        return load(self.cell, found[0])


def load(cell: Cell, folder: Location) -> Model:
    """The model saved in a checkpoint's folder. Raises CellError."""
    try:
        state = checkpoint.load(folder, cell.key)
    except checkpoint.CheckpointError as error:
        raise CellError(str(error)) from None
    model = cell.rung.build()
    model.load_state_dict(state["model"])
    return model.eval()


def finished(cells: Location) -> list[Trained]:
    """The cells below a sweep's `cells` folder that have finished, by architecture and size, with
    its best that was trained on, but without what was such a best before.

    A record that cannot be read is told, and its cell left out. Raises CellError if none is left.
    """
    found: list[tuple[Cell, Location, Record]] = []
    others = 0
    bests = _bests(cells.parent)
    replaced = {best.cell for best in bests.before}
    for folder in cells.children():
        try:
            record = read_record(cells, folder.name)
        except (VersionError, OSError) as error:
            print(one_line(error), file=sys.stderr)
            continue
        if record and record.status == "finished" and folder.name not in replaced:
            if cell := _cell_of(record):
                found.append((cell, folder, record))
            else:
                others += 1
    if not found and others:
        raise CellError(f"{cells}: {others} cells of another version; train the sweep again")
    if not found:
        raise CellError(f"{cells}: no finished cells; train some with sweeps/run_grid.py")
    notes = {bests.shown.cell: bests.shown.note} if bests.shown else {}
    called = names({cell.key: vars(cell) for cell, _, _ in found if cell.key not in notes})
    # The others are called as if it were not there.
    called |= {cell.key: best_name(vars(cell)) for cell, _, _ in found if cell.key in notes}
    trained = [
        Trained(
            cell,
            folder,
            record.measured["n_params"],
            record.measured["val_loss"],
            called[cell.key],
            notes.get(cell.key, ""),
        )
        for cell, folder, record in found
    ]
    return sorted(trained, key=lambda one: (one.cell.arch, one.n_params))


def best_of(cells: Sequence[Trained]) -> Trained:
    """The one that its sweep has trained on, if it is among them, else that of the lowest loss."""
    among = [one for one in cells if one.note] or cells
    key = lowest({one.cell.key: one.val_loss for one in among})
    return next(one for one in among if one.cell.key == key)


def _bests(sweep: Location) -> Bests:
    """Those of a sweep's folder; a file that cannot be read is told, and counts as none."""
    try:
        return read_bests(sweep)
    except (VersionError, OSError) as error:
        print(one_line(error), file=sys.stderr)
        return Bests()


def _cell_of(record: Record) -> Cell | None:
    """The cell of a record; None if another version gave it its key."""
    try:
        cell = Cell.of(record.params)
    except ValueError:
        return None
    return cell if cell.key == record.cell_key else None
