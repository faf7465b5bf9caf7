"""How far a sweep is and how long it will take, from its jobs and from what its cells report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sweeps.scheduling.jobs import Job
from sweeps.scheduling.packing import Demand
from sweeps.scheduling.throughput import work
from trainers.cell import Cell


@dataclass(frozen=True)
class Look:
    """What the cells say at one moment."""

    running: dict[str, dict[str, Any]]
    """The last point of each running cell, by key; one without tokens is starting."""
    ended: dict[str, str]
    """The status of each cell that has ended in this sweep, by key."""
    at: float = field(default_factory=time.monotonic)
    """Seconds on a clock that never goes back."""


class Progress:
    """Knows the cells that a sweep is to train, and when they began to."""

    def __init__(self, jobs: list[Job], ended_before: list[str]) -> None:
        """ended_before: the statuses of the cells that are in none of `jobs`."""
        self.jobs = [job.demand for job in jobs]
        self.cells = {cell.key: cell for job in jobs for cell in job.cells}
        self.to_train = dict(zip(self.cells, (n for job in jobs for n in job.to_train)))
        self.ended_before = ended_before
        self.total = sum(work(self.cells[key], n) for key, n in self.to_train.items())
        self.began, self.before = time.monotonic(), -1.0

    def regroup(self, jobs: list[Job]) -> None:
        """Cells that wait are in these jobs now."""
        moved = {cell.key for job in jobs for cell in job.cells}
        kept = [job for job in self.jobs if moved.isdisjoint(job.cells)]
        self.jobs = kept + [job.demand for job in jobs]

    def count(self, look: Look) -> str:
        statuses = Counter([*self.ended_before, *look.ended.values()])
        total = len(self.ended_before) + len(self.cells)
        bad = [f"{statuses[name]} {name}" for name in ("diverged", "failed") if statuses[name]]
        return ", ".join([f"{statuses.total()}/{total} cells", *bad])

    def open_jobs(self, look: Look) -> list[list[str]]:
        """The cells of each job that have not ended, without jobs that have."""
        return [
            left for job in self.jobs if (left := [k for k in job.cells if k not in look.ended])
        ]

    def running_jobs(self, look: Look) -> list[Demand]:
        return [job for job in self.jobs if not look.running.keys().isdisjoint(job.cells)]

    def queue(self, look: Look) -> str:
        running = len(self.running_jobs(look))
        return f"jobs: {running} running, {len(self.open_jobs(look)) - running} waiting"

    def seconds_left(self, look: Look) -> float | None:
        """Until the last cell has trained; None while nothing is known of the speed."""
        done = sum(self._done(key, self.cells[key].tokens) for key in look.ended)
        done += sum(self._done(key, point["tokens"]) for key, point in look.running.items())
        if self.before < 0 and done:
            # Tokens seen before this sweep began say nothing about its speed.
            self.before, self.began = done, look.at
        gained = done - self.before
        if self.before < 0 or gained <= 0:
            return None
        shared = (self.total - done) / gained * (look.at - self.began)
        return max([shared, *self._alone(look)])

    def _alone(self, look: Look) -> Iterator[float]:
        """Seconds of each running job at its present pace: others that are free cannot help it."""
        for job in self.running_jobs(look):
            for key in look.running.keys() & set(job.cells):
                point = look.running[key]
                pace = work(self.cells[key], point["tokens_per_second"])
                left = self._left(set(job.cells) - look.ended.keys() - {key})
                left += work(self.cells[key], self.to_train[key]) - self._done(key, point["tokens"])
                if pace > 0:
                    yield left / pace

    def _left(self, keys: Iterable[str]) -> float:
        return sum(work(self.cells[key], self.to_train[key]) for key in keys)

    def _done(self, key: str, seen: float) -> float:
        """The work of a cell that has seen this many tokens, without those it began with."""
        cell: Cell = self.cells[key]
        return work(cell, max(0, seen - cell.tokens + self.to_train[key]))
