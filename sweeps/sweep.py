"""A sweep: a grid in a folder. Knows where everything is, and which cells there are.

Importing this needs no PyTorch, but resolving a grid does. The cells are therefore kept in a file,
with a digest of everything that determines them, so that `--status` answers at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from data.errors import one_line
from data.store.location import Location
from data.store.manifest import MANIFEST, Manifest, read_manifest
from data.store.versioned import WORD, VersionError, Word, read_versioned
from sweeps.console import say
from sweeps.errors import GridError
from sweeps.grids.grid_file import grid_file
from sweeps.records import read
from trainers.records import Count, Params, Record, record_path

if TYPE_CHECKING:
    from sweeps.grids.grid import Grid
    from trainers.cell import Cell


Kind = TypeVar("Kind")

CODE = Path(__file__).parent.parent / "trainers"
READERS = 32
"""Files read concurrently, which pays only with a bucket."""


@dataclass(frozen=True)
class Listed:
    """A cell in the sweep's list of cells."""

    key: Word
    steps: Count
    n_params: Count
    fields: Params
    """Those of `trainers.cell.Cell`."""
    target: bool = False
    """Whether its loss is forecast before it trains."""
    trunk: Word | None = None
    """The key of the trunk that it shares with cells of other budgets, if there is one."""
    trunk_steps: int = 0
    """How many of its steps belong to the trunk."""

    @classmethod
    def of(cls, cell: Cell, target: bool) -> Listed:
        n_params, trunk = cell.rung.counts.n_params, (cell.trunk_key, cell.trunk_steps)
        return cls(cell.key, cell.steps, n_params, vars(cell), target, *trunk)


@dataclass(frozen=True)
class Kept:
    """The file in which a sweep keeps its cells."""

    digest: Word
    """Of all that determines the cells."""
    data: list[str]
    """The folders of their data sets."""
    cells: list[Listed]
    best_epochs: float = 0
    """As `sweeps.grids.grid.Grid` has it."""
    schema: int = 1


@dataclass(frozen=True)
class Tracked:
    """The file that says that a sweep ended with all of it fitted and in MLflow."""

    cells: list[Word]
    """Keys of the cells that had ended."""
    schema: int = 1


@dataclass(frozen=True)
class Sweep:
    grid_name: str
    """As given by the user: a shipped grid's name or a file."""
    options: tuple[str, ...]
    out: Location

    @cached_property
    def grid(self) -> Grid:
        """Raises GridError."""
        from sweeps.grids.grid_yaml import load_grid

        return load_grid(self.grid_name, self.options)

    @property
    def name(self) -> str:
        return "+".join([Path(self.grid_name).stem, *self.options])

    @property
    def folder(self) -> Location:
        return self.out / self.name

    @property
    def cells(self) -> Location:
        """Checkpoints and records."""
        return self.folder / "cells"

    @property
    def report(self) -> Location:
        return self.folder / "report"

    @property
    def forecast(self) -> Location:
        """The forecast of the grid's targets; written once, before any of them trains."""
        return self.report / "forecast.json"

    @property
    def best(self) -> Location:
        """The best cell that was trained on, as others load it."""
        return self.folder / "best"

    @property
    def tracked(self) -> Location:
        """`Tracked`, of the last sweep that ended so."""
        return self.folder / "tracked.txt"

    @property
    def alive(self) -> Location:
        """What the running sweep reports about itself, now and then."""
        return self.folder / "alive.json"

    @cached_property
    def given(self) -> Location | None:
        """The prepared data set that the grid names as its source, if it does so. Raises GridError
        if the grid wants it otherwise."""
        from data.sources.named import NAMED
        from sweeps.grids.grid import DataSpec

        spec = self.grid.data
        folder = None if spec.source in NAMED else Location.of(spec.source)
        if folder is None or not (folder / MANIFEST).exists():
            return None
        made = read_manifest(folder).tokenizer
        if spec != DataSpec(spec.source, (made,)):
            raise GridError(
                f"{folder} is a prepared data set, which stays as it is: under 'data' the grid may "
                f"have no more than its 'source' and 'tokenizer: {made}'"
            )
        return folder

    @property
    def corpus(self) -> str:
        """What the cells are trained on, in words."""
        spec = self.grid.data
        return f"{Path(spec.source).name} as {' and '.join(spec.tokenizer)}"

    def data(self, tokenizer: str) -> Location:
        if self.given:
            return self.given
        spec = self.grid.data
        name = f"{Path(spec.source).name}-{tokenizer}"
        return self.out / "data" / "-".join([name, *filter(None, [spec.digest])])

    def manifests(self) -> list[Manifest]:
        """One per tokenizer. Raises DataError if the data are not prepared."""
        return [read_manifest(self.data(tokenizer)) for tokenizer in self.grid.data.tokenizer]

    def resolve(self) -> list[Cell]:
        """The cells, kept for `listed`. Raises DataError, LadderError."""
        manifests = self.manifests()
        cells = self.grid.resolve(manifests)
        targets = self.grid.target_keys(manifests)
        data = [str(self.data(tokenizer)) for tokenizer in self.grid.data.tokenizer]
        listed = [Listed.of(cell, cell.key in targets) for cell in cells]
        kept = Kept(self._digest(data), data, listed, self.grid.best_epochs)
        self._list.write_text(json.dumps(asdict(kept)))
        return cells

    def listed(self) -> list[Listed]:
        """The same cells, from the file if nothing has changed since it was written."""
        return self._resolved().cells

    @property
    def best_epochs(self) -> float:
        """The grid's, from the same file."""
        return self._resolved().best_epochs

    def _resolved(self) -> Kept:
        kept = self._kept(self._list, Kept)
        if kept and self._are_ours(kept.data) and kept.digest == self._digest(kept.data):
            return kept
        self.resolve()
        return self._resolved()

    def _are_ours(self, data: list[str]) -> bool:
        """Whether this sweep trains on these folders: the file may be another's, and name any."""
        outside = self._outside(data)
        return not outside or (self.given is not None and data == [str(self.given)] == outside)

    def _outside(self, data: list[str]) -> list[str]:
        return [each for each in data if Location(each).parent != self.out / "data"]

    @property
    def elsewhere(self) -> str:
        """The folder of the data set if that is not one of `out`; known once cells are listed."""
        kept = self._kept(self._list, Kept)
        return next(iter(self._outside(kept.data)), "") if kept else ""

    def tracked_cells(self) -> set[str]:
        """The keys in `tracked`; empty if no sweep ended so."""
        with suppress(OSError, UnicodeDecodeError):
            lines = self.tracked.read_text().splitlines()
            # The first release wrote a key a line.
            if lines and all(re.fullmatch(WORD, line) for line in lines):
                return set(lines)
        kept = self._kept(self.tracked, Tracked)
        return set(kept.cells) if kept else set()

    def _kept(self, path: Location, kind: type[Kind]) -> Kind | None:
        """A file that is made again if it is missing or, which is said, cannot be read."""
        try:
            return read_versioned(path, kind, 1, "it is made again")
        except FileNotFoundError:
            return None
        except VersionError as error:
            say(str(error))
            return None

    @property
    def _list(self) -> Location:
        return self.folder / "cells.json"

    def _digest(self, data: list[str]) -> str:
        """A digest of the grid, the data and the code that turns sizes into shapes."""
        code = sorted([*CODE.glob("*.py"), *CODE.glob("models/*.py")])
        found = hashlib.sha256(repr((self.options, data)).encode())
        for path in [grid_file(self.grid_name), *code]:
            found.update(path.read_bytes())
        for folder in data:
            manifest = Location.of(folder) / MANIFEST
            found.update(manifest.read_bytes() if manifest.exists() else b"")
        return found.hexdigest()

    def records(self, keys: Iterable[str]) -> dict[str, Record]:
        """The records of the cells that have ended, by key; without those that cannot be read."""
        return self.read(keys)[0]

    def read(self, keys: Iterable[str]) -> tuple[dict[str, Record], dict[str, str]]:
        """The records of the cells that have ended, and what is wrong with those that cannot be
        read, in a line: both by key."""
        keys = list(keys)
        with ThreadPoolExecutor(READERS) as pool:
            found = dict(zip(keys, pool.map(self._read, keys)))
        return (
            {key: record for key, record in found.items() if isinstance(record, Record)},
            {key: wrong for key, wrong in found.items() if isinstance(wrong, str)},
        )

    def _read(self, key: str) -> Record | str | None:
        try:
            return read(self.cells, key)
        except (VersionError, OSError) as error:
            return one_line(error)

    def forget(self, keys: Iterable[str]) -> None:
        """Remove the records of cells, which then resume from their last checkpoints."""
        for key in keys:
            record_path(self.cells, key).delete()

    def erase(self, keys: Iterable[str]) -> None:
        """Remove everything of these cells, including checkpoints."""
        self.tracked.delete()
        for key in keys:
            (self.cells / key).delete()
        if not self.cells.children():
            self.forecast.delete()


def only(cells: list[Listed], wanted: str) -> list[Listed]:
    """The cells that 'arch=lstm size=5M,20M' selects. Raises GridError."""
    chosen = cells
    for term in wanted.split():
        name, equals, values = term.partition("=")
        known = sorted(cells[0].fields)
        if not equals or name not in known:
            raise GridError(
                f"--only {term!r}: expected FIELD=VALUE[,VALUE...] with a field of "
                f"{', '.join(known)}"
            )
        allowed = values.split(",")
        there = {str(cell.fields[name]) for cell in chosen}
        chosen = [c for c in chosen if any(_same(c.fields[name], value) for value in allowed)]
        if not chosen:
            raise GridError(f"--only {term!r} leaves no cell; there are {', '.join(sorted(there))}")
    return chosen


def _same(found: object, text: str) -> bool:
    if isinstance(found, (int, float)):
        try:
            return float(text) == found
        except ValueError:
            return False
    return str(found) == text
