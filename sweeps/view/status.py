"""The state of each cell, read from the sweep's folder: no cluster, no server, no PyTorch."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from data.errors import DataError
from data.store.lock import has_ended
from data.store.manifest import MANIFEST
from data.store.versioned import VersionError, Word, read_versioned
from sweeps import best
from sweeps.best import Standing
from sweeps.console import console, print_table, say, table
from sweeps.results import forecasts, paying, trained_on
from sweeps.scheduling.ledger import read_ledger
from sweeps.sweep import READERS, Listed, Sweep, only
from trainers.names import names, varying
from trainers.records import AHEAD_SECONDS, NotNegative, Record, doubts
from trainers.saved import is_trunk, newest_step

STALE_SECONDS = 90
"""A sweep that has not reported for this long is not running."""

LONGEST = 60
"""Characters of a detail in the table; what is longer stands below it."""


@dataclass(frozen=True)
class State:
    """The state of one cell."""

    cell: Listed
    status: str
    """finished, diverged, failed, unreadable, running, next, resumable, to start."""
    detail: str = ""
    notes: tuple[str, ...] = ()
    """What is wrong with its record or doubtful in it, in lines."""


@dataclass(frozen=True)
class Alive:
    """What a running sweep reports about itself; empty if none is running."""

    running: dict[Word, NotNegative] = field(default_factory=dict)
    """Tokens seen by running cells."""
    jobs: list[list[Word]] = field(default_factory=list)
    """The keys of the cells of each job that have not ended."""

    @property
    def running_jobs(self) -> list[list[str]]:
        return [job for job in self.jobs if not self.running.keys().isdisjoint(job)]


@dataclass(frozen=True)
class Report:
    """The file in which a running sweep says what is `Alive`."""

    time: NotNegative
    """When it was written, seconds since the epoch."""
    running: dict[Word, NotNegative]
    jobs: list[list[Word]] = field(default_factory=list)
    schema: int = 1


def states(sweep: Sweep, cells: list[Listed], alive: Alive) -> list[State]:
    records, unreadable = sweep.read(cell.key for cell in cells)
    open_cells = [cell for cell in cells if cell.key not in records | unreadable]
    with ThreadPoolExecutor(READERS) as pool:
        steps = pool.map(lambda cell: _saved(sweep, cell), open_cells)
    saved = {cell.key: step for cell, step in zip(open_cells, steps)}
    return [
        State(cell, "unreadable", notes=(unreadable[cell.key],))
        if cell.key in unreadable
        else state_of(cell, records.get(cell.key), alive, saved.get(cell.key))
        for cell in cells
    ]


def _saved(sweep: Sweep, cell: Listed) -> int | None:
    """The step of the newest checkpoint that the cell could resume from, its own or its trunk's."""
    own = newest_step(sweep.cells / cell.key)
    if cell.trunk is None:
        return own
    shared = newest_step(sweep.cells / cell.trunk, up_to=cell.trunk_steps)
    return max((step for step in (own, shared) if step is not None), default=None)


def state_of(cell: Listed, record: Record | None, alive: Alive, saved: int | None) -> State:
    """saved: the step of the newest checkpoint."""
    if record:
        loss = record.measured.get("val_loss")
        detail = record.reason or (f"val_loss {loss:.4f}" if loss else "")
        return State(cell, record.status, detail, tuple(doubts(record)))
    if cell.key in alive.running:
        step = round(alive.running[cell.key] / cell.fields["batch_tokens"])
        return State(cell, "running", _at(cell, step))
    if any(cell.key in job for job in alive.running_jobs):
        return State(cell, "next", "its job is running")
    if saved:
        return State(cell, "resumable", _at(cell, saved))
    return State(cell, "to start")


def _at(cell: Listed, step: int) -> str:
    return f"at step {step:,} of {cell.steps:,}"


def without_data(sweep: Sweep) -> str:
    """What can be said before the data are prepared, on which the cells' keys depend; empty if they
    are prepared."""
    folders = [sweep.data(tokenizer) for tokenizer in sweep.grid.data.tokenizer]
    missing = [str(folder) for folder in folders if not (folder / MANIFEST).exists()]
    if not missing:
        return ""
    there = sum(not is_trunk(folder) for folder in sweep.cells.children())
    trained = f"{there} cells are in {sweep.cells}" if there else "no cell has begun"
    return (
        f"{sweep.name}: {trained}; the data are not prepared ({', '.join(missing)}).\n"
        "The same command without --status prepares them and goes on."
    )


def alive(sweep: Sweep) -> Alive:
    """What the sweep says that is running now, if any; a file that says what cannot be is told."""
    try:
        said = read_versioned(sweep.alive, Report, 1, "the sweep counts as not running")
    except FileNotFoundError:
        return Alive()
    except VersionError as error:
        say(str(error))
        return Alive()
    age = time.time() - said.time
    if age < -AHEAD_SECONDS:
        ahead = f"found a time {-age / 3600:.1f} h ahead of this clock"
        say(f"{sweep.alive}: {ahead}; the sweep counts as not running")
    recent = -AHEAD_SECONDS < age < STALE_SECONDS
    # One that was killed has left its report behind.
    return Alive(said.running, said.jobs) if recent and not has_ended(sweep.folder) else Alive()


def of_best(sweep: Sweep, stands: Standing, now: Alive) -> str:
    """How far the best is, in a line; "" for a grid without one."""
    told = trained_on.sentence(sweep, stands)
    if stands.chosen is None or stands.begun is None or not stands.to_train:
        return told
    (state,) = states(sweep, [best.listed(stands.chosen, stands.begun)], now)
    return f"{told} It is {state.status} {state.detail}".rstrip() + "."


def last_seen(sweep: Sweep) -> float:
    """When the sweep that runs, or one that was killed, last said what is alive, in seconds since
    the epoch; 0 if it ended as it should."""
    try:
        return read_versioned(sweep.alive, Report, 1).time
    except (FileNotFoundError, VersionError):
        return 0.0


def show(sweep: Sweep, selection: str) -> None:
    """Print the states of the selected cells. Raises GridError, DataError."""
    to_user = console()
    try:
        cells = only(sweep.listed(), selection)
    except DataError:
        if not (unprepared := without_data(sweep)):
            raise
        to_user.print(unprepared)
        return
    now = alive(sweep)
    found = states(sweep, cells, now)
    called = names({cell.key: cell.fields for cell in cells})
    varied = varying(cell.fields for cell in cells)
    forecast = any(cell.target for cell in cells)
    rows = table(["arch", "size", *varied, *[""] * forecast, "status", ""], [], [])
    for state in found:
        axes = [str(state.cell.fields[name]) for name in ("arch", "size", *varied)]
        mark = ["target" * state.cell.target] * forecast
        # A long reason would take the room of the names.
        shown = state.detail if len(state.detail) <= LONGEST else f"{state.detail[:LONGEST]}..."
        rows.add_row(*axes, *mark, state.status, shown)
    print_table(rows)
    counts = Counter(state.status for state in found)
    to_user.print(f"\n{len(found)} cells: {', '.join(f'{n} {s}' for s, n in counts.items())}")
    if now.jobs:
        running = len(now.running_jobs)
        to_user.print(f"Jobs: {running} running, {len(now.jobs) - running} waiting")
    if forecast:
        to_user.print(forecasts.standing(sweep))
    stands = best.standing(sweep)
    if line := of_best(sweep, stands, now):
        to_user.print(line)
    ledger = read_ledger(sweep.folder).ended(last_seen(sweep))
    if paid := paying.sentence(paying.bill_of(sweep, ledger)):
        to_user.print(paid)
    for state in found:
        told = (state.detail,) if len(state.detail) > LONGEST else ()
        for note in (*told, *state.notes):
            to_user.print(f"{called[state.cell.key]}: {note}")
    if counts["failed"]:
        to_user.print("Failed cells are tried again with --retry-failed.")
    ended = sum(counts[each] for each in ("finished", "failed", "diverged", "unreadable"))
    if (len(found) > ended or stands.to_train) and not now.running:
        to_user.print("The sweep is not running; the same command without --status goes on.")
