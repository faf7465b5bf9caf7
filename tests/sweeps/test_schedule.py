"""Cells that fail are reported by name, and the others finish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ray

from data.store.location import Location
from sweeps.records import read_record
from sweeps.schedule import Job, reason, run_cells
from trainers.cell import Cell, Placement


class SilentTracker:
    """Takes what a tracker takes."""

    def start(self, key: str, params: dict, forecast: str) -> None: ...

    def points(self, key: str, points: list) -> None: ...

    def finish(self, record: object) -> None: ...

    def is_leaving(self) -> bool:
        return False


def test_a_failing_and_a_diverging_cell_do_not_stop_the_others(
    cell: Cell, packed: Path, tmp_path: Path
) -> None:
    good = replace(cell, arch="lstm")
    # A vocabulary smaller than the data's ids: the embedding raises, at every try.
    failing = replace(cell, vocab_size=20, arch="lstm")
    diverging = replace(cell, lr=1e4)
    ray.init(num_cpus=2, log_to_driver=False)
    try:
        run_cells(
            [
                Job(each, Location.of(packed), Placement(retries=1))
                for each in (failing, diverging, good)
            ],
            Location.of(tmp_path),
            ray.remote(num_cpus=0)(SilentTracker).remote(),
            verbose=False,
        )
    finally:
        ray.shutdown()
    ended = {
        name: read_record(Location.of(tmp_path), each.key)
        for name, each in (("good", good), ("failing", failing), ("diverging", diverging))
    }
    assert all(ended.values())
    assert ended["good"] is not None
    assert ended["good"].status == "finished"
    assert ended["failing"] is not None
    assert ended["failing"].status == "failed"
    assert "index" in ended["failing"].reason
    assert ended["diverging"] is not None
    assert ended["diverging"].status == "diverged"
    assert "lr 10000" in ended["diverging"].reason


def test_a_reason_is_the_line_that_names_the_exception() -> None:
    trace = "Training failed:\nTraceback:\n  File x, line 1\nValueError: not here:\n - path: a/b\n"
    assert reason(RuntimeError(trace)) == "ValueError: not here:"
    assert reason(RuntimeError("several\nlines")) == "lines"
    assert reason(RuntimeError()) == "RuntimeError"
