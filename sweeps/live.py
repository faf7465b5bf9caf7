"""The live view of a sweep: a line that a terminal rewrites, or a plain line now and then."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import Any

import ray

from trainers.cell import Cell

STEP_COST = 40_000
"""What a token costs beside its parameters, in parameters: on a CPU, small models are bound by the
number of operations and not by their size. Only the time left is estimated with it."""


class LiveLine:
    """Shows cells done, cells running with loss and tokens/s, and the time left, until it exits."""

    def __init__(self, cells: list[Cell], done: int, tracker: Any) -> None:
        self.pending = {cell.key: cell for cell in cells}
        self.done, self.total, self.tracker = done, done + len(cells), tracker
        # Not sys.stdout, which may be redirected to keep libraries quiet.
        self.stream = sys.__stdout__ or sys.stdout
        self.terminal = self.stream.isatty()
        self.every = 1.0 if self.terminal else 15.0
        self.started = time.monotonic()
        self.cost_before: float | None = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> LiveLine:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join()
        if self.terminal:
            print("\r\x1b[K", end="", flush=True, file=self.stream)

    def _loop(self) -> None:
        while not self.stopped.wait(self.every):
            running, ended = ray.get(self.tracker.progress.remote())
            text = self.line(running, ended, time.monotonic() - self.started)
            if self.terminal:
                width = shutil.get_terminal_size().columns - 1
                print(f"\r\x1b[K{text[:width]}", end="", flush=True, file=self.stream)
            else:
                print(text, flush=True, file=self.stream)

    def line(self, running: dict[str, dict[str, Any]], ended: list[str], seconds: float) -> str:
        """running: the last point of each running cell by key; ended: keys of cells that ended."""
        parts = [f"{self.done + len(ended)}/{self.total} cells"]
        for key, point in running.items():
            cell = self.pending[key]
            if point["tokens"]:
                parts.append(
                    f"{cell.arch} {cell.size} {point['tokens'] / cell.tokens:.0%} "
                    f"loss {point['train_loss']:.3f} {point['tokens_per_second'] / 1e3:.0f}k tok/s"
                )
            else:
                parts.append(f"{cell.arch} {cell.size} starting")
        return " | ".join([*parts, self.left(running, ended, seconds)])

    def left(self, running: dict[str, dict[str, Any]], ended: list[str], seconds: float) -> str:
        total = sum(cost(cell, cell.tokens) for cell in self.pending.values())
        spent = sum(cost(self.pending[key], self.pending[key].tokens) for key in ended)
        spent += sum(cost(self.pending[key], point["tokens"]) for key, point in running.items())
        if self.cost_before is None and spent:
            # Tokens seen before this sweep began say nothing of its speed.
            self.cost_before, self.started = spent, time.monotonic()
            return "time left unknown yet"
        gained = spent - (self.cost_before or 0)
        if gained <= 0:
            return "time left unknown yet"
        return f"about {(total - spent) / gained * seconds / 60:.0f} min left"


def cost(cell: Cell, tokens: float) -> float:
    """Work in arbitrary units."""
    return tokens * (cell.rung.counts.n_params + STEP_COST)
