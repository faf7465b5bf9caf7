"""Cells that fail are reported by name, and the others finish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ray

from data.store.location import Location
from sweeps.jobs import Job
from sweeps.schedule import run_jobs
from trainers.cell import Cell, Placement
from trainers.records import read_record

TOLD = "0" * 64
"""The sha256 of a forecast."""


class SilentTracker:
    """Takes what a tracker takes."""

    def start(self, key: str, params: dict, forecast: str) -> None: ...

    def points(self, key: str, points: list) -> None: ...

    def finish(self, record: object) -> None: ...

    def is_leaving(self) -> bool:
        return False


def test_a_failing_and_a_diverging_cell_do_not_stop_those_of_their_job(
    cell: Cell, packed: Path, tmp_path: Path
) -> None:
    lstm = replace(cell, arch="lstm")
    # A vocabulary smaller than the data's ids: the embedding raises, at every try.
    failing = replace(lstm, vocab_size=20)
    diverging = replace(lstm, lr=1e4)
    job = (failing, diverging, lstm)
    ray.init(num_cpus=2, log_to_driver=False)
    try:
        run_jobs(
            [Job(job, Location.of(packed), Placement(retries=1))],
            lambda cells, capacity: [],
            Location.of(tmp_path),
            ray.remote(num_cpus=0)(SilentTracker).remote(),
            {lstm.key: TOLD},
            verbose=False,
        )
    finally:
        ray.shutdown()
    ended = [read_record(Location.of(tmp_path), each.key) for each in job]
    failed, diverged, finished = (record for record in ended if record)
    assert (failed.status, diverged.status, finished.status) == ("failed", "diverged", "finished")
    assert "index" in failed.reason
    assert "lr 10000" in diverged.reason
    assert (diverged.forecast, finished.forecast) == ("", TOLD)
    # Nothing is left but what is the cells' own.
    assert {path.name for path in tmp_path.iterdir()} == {each.key for each in job}
