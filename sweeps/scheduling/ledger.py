"""What was expected of a sweep when it began, and what only a running sweep sees: a file beside the
cells, from which `sweeps.scheduling.paid` reckons when they have ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from data.store.location import Location
from data.store.versioned import Line, VersionError, Word, read_versioned
from sweeps.console import say
from sweeps.scheduling.paid import Bill, Entry, Twice, spent
from trainers.records import NotNegative, Record


@dataclass(frozen=True)
class Expected:
    """Of a cell, when the sweep that trains it began."""

    seconds: NotNegative
    """Of training what it trains itself."""
    gpus: NotNegative
    """That its workers hold."""
    cpus: NotNegative
    at: NotNegative
    """When, seconds since the epoch."""


@dataclass(frozen=True)
class Stretch:
    """A time in which the sweep was at work, seconds since the epoch."""

    began: NotNegative
    ended: NotNegative


@dataclass(frozen=True)
class Ledger:
    cells: dict[Word, Expected] = field(default_factory=dict)
    basis: Line = ""
    """By what the newest of them were expected, in words."""
    wall: NotNegative = 0.0
    """Seconds that all of it was to take on the cluster as it was, with the start of jobs."""
    gpu_price: NotNegative | None = None
    """Of a GPU-hour, if it was given."""
    ran: list[Stretch] = field(default_factory=list)
    again: dict[Word, Twice] = field(default_factory=dict)
    schema: int = 1

    def begun(self, new: Mapping[str, Expected], wall: float, basis: str, now: float) -> Ledger:
        """With a stretch that begins; what was expected of a cell before stays.

        new: of cells of which nothing was expected yet. wall: how long those take.
        """
        return replace(
            self,
            cells={**new, **self.cells},
            ran=[*self.ran, Stretch(now, now)],
            wall=self.wall + wall,
            basis=basis or self.basis,
        )

    def ended(self, at: float) -> Ledger:
        """With its last stretch at its end, unless that is known."""
        if not self.ran or self.ran[-1].ended > self.ran[-1].began:
            return self
        last = replace(self.ran[-1], ended=max(at, self.ran[-1].began))
        return replace(self, ran=[*self.ran[:-1], last])

    def with_again(self, found: Mapping[str, Twice]) -> Ledger:
        """A tracker that has been lost knows less than the ledger."""
        better = {
            key: each
            for key, each in found.items()
            if each.tokens and each.tokens >= self.again.get(key, Twice()).tokens
        }
        return replace(self, again=self.again | better)

    def bill(self, records: Iterable[Record]) -> Bill:
        """Of the cells that have ended."""
        records = list(records)
        held = {each.cell_key: self._held(each) for each in records}
        gpus = any(count for count, _ in held.values())
        entries = [
            Entry(
                each.cell_key,
                self.cells[each.cell_key].seconds if each.cell_key in self.cells else None,
                spent(each),
                self.again.get(each.cell_key, Twice()),
                held[each.cell_key][0 if gpus else 1],
            )
            for each in records
        ]
        wall = sum(stretch.ended - stretch.began for stretch in self.ran)
        return Bill(entries, gpus, self.gpu_price, self.wall, wall)

    def _held(self, record: Record) -> tuple[float, float]:
        """GPUs and cores; of a cell of which nothing was expected, by what it says it ran on."""
        if expected := self.cells.get(record.cell_key):
            return expected.gpus, expected.cpus
        on = record.ran_on
        workers = on.get("workers", 1)
        on_card = on.get("device", "cpu") != "cpu"
        return (workers, workers) if on_card else (0, workers * on.get("threads", 1))


def ledger_file(sweep: Location) -> Location:
    """sweep: its folder."""
    return sweep / "ledger.json"


def read_ledger(sweep: Location) -> Ledger:
    """An empty one where there is none, or none that can be read, which is told."""
    try:
        return read_versioned(ledger_file(sweep), Ledger, 1, "remove it; a new one is begun")
    except FileNotFoundError:
        return Ledger()
    except VersionError as error:
        say(str(error))
        return Ledger()


def forget(sweep: Location, keys: Collection[str]) -> None:
    """Have nothing be expected of these cells, as if they had never begun."""
    known = read_ledger(sweep)
    if known.cells.keys() & set(keys):
        cells = {key: each for key, each in known.cells.items() if key not in keys}
        again = {key: each for key, each in known.again.items() if key not in keys}
        write_ledger(sweep, replace(known, cells=cells, again=again))


def priced(sweep: Location, gpu_price: float | None) -> None:
    """Keep the price of a GPU-hour, if one is given."""
    if gpu_price is not None:
        write_ledger(sweep, replace(read_ledger(sweep), gpu_price=gpu_price))


def write_ledger(sweep: Location, ledger: Ledger) -> None:
    ledger_file(sweep).write_text(json.dumps(asdict(ledger), indent=1))
