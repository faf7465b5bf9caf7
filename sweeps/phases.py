"""What a sweep trains, in phases: the grid's cells, then its forecast's targets, then the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sweeps import best
from sweeps.console import busy, say
from sweeps.falls.leaving import Leaving
from sweeps.results import forecasts
from sweeps.results.reporting import write_laws
from sweeps.scheduling import jobs
from sweeps.scheduling.expected import throughput
from sweeps.scheduling.jobs import Job
from sweeps.scheduling.ledger import Expected, read_ledger, write_ledger
from sweeps.scheduling.packing import Capacity
from sweeps.scheduling.plan import span
from sweeps.scheduling.schedule import present, run_jobs
from sweeps.scheduling.throughput import guessed_seconds
from sweeps.sweep import Sweep
from sweeps.view.live import LiveView
from sweeps.view.status import last_seen
from trainers.best import best_name, in_epochs
from trainers.cell import Cell

Cut = Callable[[list[Cell], Capacity], list[Job]]
"""Makes jobs of cells that wait, for a cluster of this capacity."""


@dataclass(frozen=True)
class Phases:
    """Jobs for the cluster as it was when they were made."""

    first: list[Job]
    targets: list[Job]
    """Wait for the first, from which their losses are forecast."""
    cut: Cut

    @property
    def jobs(self) -> list[Job]:
        return [*self.first, *self.targets]


def phases_of(sweep: Sweep, cells: list[Cell], targets: set[str]) -> Phases:
    """cells: those to train. targets: keys."""
    kept = jobs.kept_of(sweep.cells, cells)
    seconds = guessed_seconds

    def cut(cells: list[Cell], capacity: Capacity) -> list[Job]:
        return jobs.jobs_of(cells, sweep.grid.placement, sweep.data, seconds, capacity, kept)

    return Phases(*jobs.in_phases(cells, targets, sweep, seconds, present(), kept), cut)


def expect(
    sweep: Sweep, phases: Phases, known: Collection[str], now: float
) -> tuple[dict[str, Expected], float, str]:
    """What is expected of each cell of which nothing is known, how long all these will take on the
    cluster as it is, in seconds, and by what that is expected."""
    needs, new = sweep.grid.placement, [job for job in phases.jobs if not _keys(job) <= set(known)]
    if not new:
        return {}, 0.0, ""
    cells = [cell for job in new for cell in job.cells]
    # The head's own GPU, if it has one, is left to the cells.
    here = replace(present(), gpus=0)
    with busy("Plan     how long it should take"):
        of = throughput(sweep.out, cells, needs, here)
    found: dict[str, Expected] = {}
    for job in new:
        demand = job.demand
        for cell, tokens in zip(job.cells, job.to_train):
            if cell.key not in known:
                seconds = of.seconds(cell, job.placement) * tokens / cell.tokens
                found[cell.key] = Expected(seconds, demand.gpus, demand.cpus, now)

    def timed(job: Job) -> Job:
        mine = sum(found[key].seconds for key in _keys(job) & found.keys())
        return replace(job, seconds=jobs.START_SECONDS + mine)

    parts = [[timed(job) for job in part if job in new] for part in (phases.first, phases.targets)]
    wall = sum(span(part, present()) for part in parts if part)
    return found, wall, of.device


def _keys(job: Job) -> set[str]:
    return {cell.key for cell in job.cells}


@dataclass(frozen=True)
class Stage:
    """On which the phases of a sweep are trained. Each returns why jobs ended before their cells
    did, a line each."""

    sweep: Sweep
    tracker: Any
    """Handle of a `sweeps.tracking.tracker.Tracker`."""
    uri: str
    """MLflow's."""
    foot: list[str]
    """What stands below the live view."""
    verbose: int

    def grid(self, phases: Phases, every: list[Cell], statuses: list[str]) -> list[str]:
        """every: all cells of the grid. statuses: of those that are in no job."""
        with self._seen(phases, statuses) as train:
            faults = train(phases.first, {})
            waiting = [cell for job in phases.targets for cell in job.cells]
            if not waiting:
                return faults
            told = forecasts.registered(self.sweep, every, waiting, self.tracker, self.uri)
            return faults if told is None else faults + train(phases.targets, told)

    def best(self) -> list[str]:
        """Train on the best of a grid whose cells have ended, if there is one to train on."""
        chosen = best.standing(self.sweep).chosen
        if chosen is None:
            return []
        one, cell = best.begin(self.sweep, chosen)
        called = best_name(chosen.fields)
        self.tracker.add_best.remote(cell.key, called, one.note)
        records, unreadable = self.sweep.read([cell.key])
        for line in unreadable.values():
            say(f"Left alone: {line}")
        for record in records.values():
            self.tracker.finish.remote(record)
        if records or unreadable:
            return []
        # What comes now may take longer than all before.
        write_laws(self.sweep)
        say(f"Best     {called}: {in_epochs(one.epochs)}, {cell.tokens:,} tokens")
        ended = self.sweep.records(each.key for each in self.sweep.listed())
        phases = phases_of(self.sweep, [cell], set())
        with self._seen(phases, [record.status for record in ended.values()]) as train:
            return train(phases.first, {})

    @contextmanager
    def _seen(
        self, phases: Phases, statuses: list[str]
    ) -> Iterator[Callable[[list[Job], dict[str, str]], list[str]]]:
        """Show the cells while they train; a signal lets them save."""
        sweep, tracker = self.sweep, self.tracker
        view = LiveView(phases.jobs, statuses, tracker, sweep.alive, self.foot)

        def again(cells: list[Cell], capacity: Capacity) -> list[Job]:
            found = phases.cut(cells, capacity)
            view.regroup(found)
            return found

        def train(jobs: list[Job], told: dict[str, str]) -> list[str]:
            return run_jobs(jobs, again, sweep.cells, tracker, told, self.verbose)

        with self._reckoned(phases), view, Leaving(tracker, sweep.cells):
            yield train

    @contextmanager
    def _reckoned(self, phases: Phases) -> Iterator[None]:
        """Keep what is expected of the jobs, and for how long the sweep is at work."""
        folder, known = self.sweep.folder, read_ledger(self.sweep.folder)
        # One that was killed has left when it was last seen.
        known = known.ended(last_seen(self.sweep))
        now = time.time()
        new, wall, basis = expect(self.sweep, phases, known.cells, now)
        write_ledger(folder, known.begun(new, wall, basis, now))
        try:
            yield
        finally:
            write_ledger(folder, read_ledger(folder).ended(time.time()))
