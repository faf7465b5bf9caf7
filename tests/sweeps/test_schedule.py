"""Cells that fail are reported by name, and the others finish; what no cell did is told apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
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


@pytest.fixture(scope="module", autouse=True)
def own_ray() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


def ran(job: Job, cells: Path, forecasts: dict[str, str]) -> list[str]:
    return run_jobs(
        [job],
        lambda cells, capacity: [],
        Location.of(cells),
        ray.remote(num_cpus=0)(SilentTracker).remote(),
        forecasts,
        verbose=False,
    )


def test_a_failing_and_a_diverging_cell_do_not_stop_those_of_their_job(
    cell: Cell, packed: Path, tmp_path: Path
) -> None:
    lstm = replace(cell, arch="lstm")
    # A vocabulary smaller than the data's ids: the embedding raises, at every try.
    failing = replace(lstm, vocab_size=20)
    diverging = replace(lstm, lr=1e4)
    job = (failing, diverging, lstm)
    placed = Job(job, Location.of(packed), Placement(retries=1))
    assert ran(placed, tmp_path, {lstm.key: TOLD}) == []
    ended = [read_record(Location.of(tmp_path), each.key) for each in job]
    failed, diverged, finished = (record for record in ended if record)
    assert (failed.status, diverged.status, finished.status) == ("failed", "diverged", "finished")
    assert "index" in failed.reason
    assert "lr 10000" in diverged.reason
    assert (diverged.forecast, finished.forecast) == ("", TOLD)
    # Nothing is left but what is the cells' own.
    assert {path.name for path in tmp_path.iterdir()} == {each.key for each in job}


def test_data_that_are_gone_are_told_and_are_no_outcome_of_a_cell(
    cell: Cell, tmp_path: Path
) -> None:
    gone, cells = Location.of(tmp_path / "data"), tmp_path / "cells"
    (line,) = ran(Job((replace(cell, arch="lstm"),), gone, Placement(retries=1)), cells, {})
    assert str(gone) in line
    assert not list(cells.rglob("record.json"))
