"""The live view of a sweep: drawn anew at the foot of a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import ray
from ray.exceptions import RayError
from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from data.store.location import Location
from sweeps.console import console, is_drawn_in
from sweeps.pane import Pane
from sweeps.scheduling.jobs import Job
from sweeps.view.progress import Look, Progress
from sweeps.view.status import Report
from trainers.names import varying, words

ALIVE_SECONDS = 15
"""How often the sweep records that it is running, for `--status`."""
ANSWER_SECONDS = 20
"""The longest that a look may take."""
MOST_ROWS = 16
"""Cells shown in a terminal; of more that run the others are counted."""


class LiveView:
    """Shows finished and running cells, loss, tokens/s and the time left, until it exits."""

    def __init__(
        self,
        jobs: list[Job],
        ended: list[str],
        tracker: Any,
        alive: Location,
        foot: list[str],
    ) -> None:
        """ended: the statuses of the cells that are in none of `jobs`. foot: what stands below."""
        self.progress = Progress(jobs, ended)
        self.tracker, self.alive, self.foot = tracker, alive, foot
        self.varied = varying(vars(cell) for cell in self.progress.cells.values())
        self.console = console()
        self.every = 1.0 if is_drawn_in() else 15.0
        self.started, self.told = time.monotonic(), 0.0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> LiveView:
        self.thread.start()
        return self

    def regroup(self, jobs: list[Job]) -> None:
        """Cells that wait are in these jobs now."""
        self.progress.regroup(jobs)

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join(ANSWER_SECONDS)
        with contextlib.suppress(OSError):
            self.alive.delete()

    def _loop(self) -> None:
        if not is_drawn_in():
            self._show(lambda look: self.console.print(self.line(look)))
            return
        with contextlib.suppress(OSError), Pane(self.console.file) as pane:
            self._show(lambda look: pane.draw(self.table(look)))

    def _show(self, show: Callable[[Look], None]) -> None:
        while not self.stopped.wait(self.every):
            # What cannot be seen or shown now may be later: a view is no reason to end a sweep, and
            # whether there is one is watched elsewhere.
            with contextlib.suppress(RayError, OSError):
                show(self._look())

    def _look(self) -> Look:
        look = Look(*ray.get(self.tracker.progress.remote(), timeout=ANSWER_SECONDS))
        if look.at - self.told > ALIVE_SECONDS:
            tokens = {key: point["tokens"] for key, point in look.running.items()}
            said = Report(time.time(), tokens, self.progress.open_jobs(look))
            self.told = look.at
            # Not patiently: on a full disk the view goes on.
            with self.alive.writing() as file:
                file.write_text(json.dumps(asdict(said)))
        return look

    def line(self, look: Look) -> str:
        parts = [self.progress.count(look)]
        for key, point in look.running.items():
            parts.append(" ".join([self.called(key), *self.pace(key, point)]))
        return " | ".join([*parts, self.left(look)])

    def table(self, look: Look) -> Group:
        rows = Table.grid(padding=(0, 2), expand=True)
        rows.add_column(no_wrap=True, overflow="ellipsis")
        rows.add_column(ratio=1, min_width=6)
        for key, point in [*look.running.items()][:MOST_ROWS]:
            total = self.progress.cells[key].tokens
            bar = ProgressBar(total=total, completed=point["tokens"])
            rows.add_row(self.called(key), bar, *self.pace(key, point))
        more = len(look.running) - MOST_ROWS
        return Group(
            Text(f"{self.progress.count(look)}   {self.gone(look)}, {self.left(look)}", "bold"),
            Text(f"{self.progress.queue(look)}   {in_use()}"),
            rows,
            *[Text(f"and {more} more that run")] * (more > 0),
            *(Text(line, "dim") for line in self.foot),
        )

    def called(self, key: str) -> str:
        cell = self.progress.cells[key]
        return " ".join([f"{cell.arch} {cell.size}", *words(vars(cell), self.varied)])

    def pace(self, key: str, point: dict[str, Any]) -> list[str]:
        if not point["tokens"]:
            return ["starting"]
        gpu = [f"GPU {point['gpu_percent']:.0f}%"] if "gpu_percent" in point else []
        return [
            f"{point['tokens'] / self.progress.cells[key].tokens:.0%}",
            f"loss {point['train_loss']:.3f}",
            f"{point['tokens_per_second'] / 1e3:.0f}k tok/s",
            *gpu,
        ]

    def gone(self, look: Look) -> str:
        minutes, seconds = divmod(int(look.at - self.started), 60)
        return f"{minutes}:{seconds:02} gone"

    def left(self, look: Look) -> str:
        if not self.progress.open_jobs(look):
            return "all have ended"
        seconds = self.progress.seconds_left(look)
        if seconds is None:
            return "time left not known yet"
        return f"about {seconds / 60:.0f} min left" if seconds > 60 else "less than a minute left"


def in_use() -> str:
    """How much of the cluster is taken, by whomever."""
    there, free = ray.cluster_resources(), ray.available_resources()
    kind = "GPU" if there.get("GPU") else "CPU"
    total = there.get(kind, 0.0)
    return f"{kind}s: {total - free.get(kind, 0.0):g} of {total:g} in use"
