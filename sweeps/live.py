"""The live view of a sweep: a table, redrawn in a terminal, or else a plain line now and then."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import ray
from ray.exceptions import RayError
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from data.store.location import Location
from sweeps.console import console
from sweeps.jobs import Job
from sweeps.status import Report
from sweeps.throughput import work
from trainers.names import varying, words

ALIVE_SECONDS = 15
"""How often the sweep records that it is running, for `--status`."""


ANSWER_SECONDS = 20
"""The longest that a look may take."""


class LiveView:
    """Shows finished and running cells, loss, tokens/s and the time left, until it exits."""

    def __init__(self, jobs: list[Job], ended: list[str], tracker: Any, alive: Location) -> None:
        """ended: the statuses of the cells that are in none of `jobs`."""
        self.jobs = [[cell.key for cell in job.cells] for job in jobs]
        self.pending = {cell.key: cell for job in jobs for cell in job.cells}
        self.to_train = dict(zip(self.pending, (n for job in jobs for n in job.to_train)))
        self.ended_before, self.tracker, self.alive = ended, tracker, alive
        self.total_work = sum(work(self.pending[key], n) for key, n in self.to_train.items())
        self.varied = varying(vars(cell) for cell in self.pending.values())
        self.console = console()
        self.every = 1.0 if self.console.is_terminal else 15.0
        self.started, self.told = time.monotonic(), 0.0
        self.work_before: float | None = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> LiveView:
        self.thread.start()
        return self

    def regroup(self, jobs: list[Job]) -> None:
        """Cells that wait are in these jobs now."""
        moved = {cell.key for job in jobs for cell in job.cells}
        kept = [job for job in self.jobs if moved.isdisjoint(job)]
        self.jobs = kept + [[cell.key for cell in job.cells] for job in jobs]

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join(ANSWER_SECONDS)
        with contextlib.suppress(OSError):
            self.alive.delete()

    def _loop(self) -> None:
        if not self.console.is_terminal:
            self._show(lambda *seen: self.console.print(self.line(*seen)))
            return
        with (
            contextlib.suppress(OSError),
            # What was silenced would be shown again by its redirection.
            Live(
                console=self.console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            ) as live,
        ):
            self._show(lambda *seen: live.update(self.table(*seen), refresh=True))

    def _show(self, show: Callable[..., None]) -> None:
        while not self.stopped.wait(self.every):
            # What cannot be seen or shown now may be later: a view is no reason to end a sweep, and
            # whether there is one is watched elsewhere.
            with contextlib.suppress(RayError, OSError):
                show(*self._look())

    def _look(self) -> tuple[dict[str, dict[str, Any]], dict[str, str], float]:
        running, ended = ray.get(self.tracker.progress.remote(), timeout=ANSWER_SECONDS)
        now = time.monotonic()
        if now - self.told > ALIVE_SECONDS:
            tokens = {key: point["tokens"] for key, point in running.items()}
            jobs = [[key for key in job if key not in ended] for job in self.jobs]
            said = Report(time.time(), tokens, [job for job in jobs if job])
            self.told = now
            # Not patiently: on a full disk the view goes on.
            with self.alive.writing() as file:
                file.write_text(json.dumps(asdict(said)))
        return running, ended, now - self.started

    def line(
        self, running: dict[str, dict[str, Any]], ended: dict[str, str], seconds: float
    ) -> str:
        """running: the last point of each running cell, by key. ended: the status of those that
        ended in this sweep, by key."""
        parts = [self.count(ended)]
        for key, point in running.items():
            parts.append(" ".join([*self.called(key), *self.pace(key, point)]))
        return " | ".join([*parts, self.left(running, ended, seconds)])

    def table(
        self, running: dict[str, dict[str, Any]], ended: dict[str, str], seconds: float
    ) -> Group:
        table = Table.grid(padding=(0, 2))
        for key, point in running.items():
            bar = ProgressBar(total=self.pending[key].tokens, completed=point["tokens"], width=24)
            table.add_row(*self.called(key), bar, *self.pace(key, point))
        head = f"{self.count(ended)}   {self.left(running, ended, seconds)}"
        return Group(Text(head, style="bold"), table)

    def count(self, ended: dict[str, str]) -> str:
        statuses = Counter([*self.ended_before, *ended.values()])
        total = len(self.ended_before) + len(self.pending)
        bad = [f"{statuses[name]} {name}" for name in ("diverged", "failed") if statuses[name]]
        return ", ".join([f"{statuses.total()}/{total} cells", *bad])

    def called(self, key: str) -> list[str]:
        cell = self.pending[key]
        return [f"{cell.arch} {cell.size}", *words(vars(cell), self.varied)]

    def pace(self, key: str, point: dict[str, Any]) -> list[str]:
        if not point["tokens"]:
            return ["starting"]
        return [
            f"{point['tokens'] / self.pending[key].tokens:.0%}",
            f"loss {point['train_loss']:.3f}",
            f"{point['tokens_per_second'] / 1e3:.0f}k tok/s",
        ]

    def done(self, key: str, seen: float) -> float:
        """The work of a cell that has seen this many tokens, without those it began with."""
        began = self.pending[key].tokens - self.to_train[key]
        return work(self.pending[key], max(0, seen - began))

    def left(
        self, running: dict[str, dict[str, Any]], ended: dict[str, str], seconds: float
    ) -> str:
        done = sum(self.done(key, self.pending[key].tokens) for key in ended)
        done += sum(self.done(key, point["tokens"]) for key, point in running.items())
        if self.work_before is None and done:
            # Tokens seen before this sweep began say nothing about its speed.
            self.work_before, self.started = done, time.monotonic()
            return "time left not known yet"
        gained = done - (self.work_before or 0)
        if gained <= 0:
            return "time left not known yet"
        return f"about {(self.total_work - done) / gained * seconds / 60:.0f} min left"
