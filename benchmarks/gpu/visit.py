"""What a part of a visit knows: where it runs and until when; and tables that grow row by row.

Each row is printed and written as soon as it is known, so whatever ends a part costs the row that
was running. A row that there was no time for, or that failed, says so under its own name.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data.errors import one_line
from trainers.cell import CHOICES
from trainers.gradients import World

PRECISION = "bf16" if "bf16" in CHOICES["precision"] else "fp32"
"""The fastest that a cell can be trained in."""


@dataclass(frozen=True)
class Visit:
    part: str
    device: torch.device
    small: bool
    """The same course on toys, to try it without a GPU."""
    out: Path
    """What comes back."""
    work: Path
    """What stays: data sets, sweeps, checkpoints."""
    data: tuple[Path, ...]
    """Prepared data sets that were brought along."""
    until: float
    """When the part has to be over, by `time.monotonic()`."""

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def world(self) -> World:
        return World(0, 1, self.device)

    @property
    def card(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.on_gpu else "cpu"

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def pick(self, usual: Any, small: Any) -> Any:
        return small if self.small else usual


class Rows:
    """A table: Markdown to read now, and JSON lines in `PART.jsonl` below the visit's `out`."""

    def __init__(self, visit: Visit, name: str, *columns: str) -> None:
        self.visit, self.name, self.columns = visit, name, (*columns, "note")
        self.file = visit.out / f"{visit.part}.jsonl"
        print(f"\n{visit.part}: {name}, on {visit.card}\n")
        self._print(self.columns)
        self._print(["---"] * len(self.columns))

    def add(self, **values: Any) -> None:
        """values: by column, others left empty; `note` says what a reader has to know."""
        with self.file.open("a") as file:
            file.write(json.dumps({"table": self.name, **values}) + "\n")
        self._print([_shown(values.get(column)) for column in self.columns])

    def attempt(
        self, work: Callable[[], dict[str, Any]], seconds: float, **named: Any
    ) -> dict[str, Any]:
        """Add a row of what `work` returns, or of why it is open. Returns what it returned.

        seconds: what it is likely to take; it is not begun with less left. named: the row's own
        columns.
        """
        found: dict[str, Any] = {}
        if self.visit.left < seconds:
            self.add(**named, note=f"open: no time ({self.visit.left:.0f} s were left)")
            return found
        try:
            found = work()
        # One row's failure must not cost the others.
        except Exception as error:
            reason = one_line(error)[:200]
            self.add(**named, note=f"open: {type(error).__name__}: {reason}")
        else:
            self.add(**named, **found)
        # A model and its compiled code refer to each other.
        gc.collect()
        if self.visit.on_gpu:
            torch.cuda.empty_cache()
        return found

    def _print(self, cells: Any) -> None:
        print("| " + " | ".join(cells) + " |", flush=True)


def rows_of(out: Path, part: str, table: str) -> list[dict[str, Any]]:
    """The rows of a table that an earlier part, or visit, has written."""
    file = out / f"{part}.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [row for row in map(json.loads, lines) if row["table"] == table]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
