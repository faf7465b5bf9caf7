"""Cells that fail are reported by name, and the others finish; what no cell did is told apart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray

from data.store.location import Location
from sweeps.falls import standing
from sweeps.scheduling.jobs import Job
from sweeps.scheduling.schedule import run_jobs
from tests.conftest import flip_a_bit
from tests.waiting import wait_until
from trainers.cell import Cell, Placement
from trainers.records import read_record

TOLD = "0" * 64
"""The sha256 of a forecast."""


class SilentTracker:
    """Takes what a tracker takes."""

    def __init__(self) -> None:
        self.stopped: list[str] = []

    def job_stopped(self, why: str) -> None:
        self.stopped.append(why)

    def stopped_jobs(self) -> list[str]:
        return self.stopped

    def trouble(self) -> str:
        return ""

    def start(self, key: str, params: dict, forecast: str) -> None: ...

    def points(self, key: str, points: list) -> None: ...

    def finish(self, record: object) -> None: ...

    def is_leaving(self) -> bool:
        return False


def silent() -> Any:
    return ray.remote(num_cpus=0)(SilentTracker).remote()


@pytest.fixture(scope="module", autouse=True)
def own_ray() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


def ran(job: Job, cells: Path, forecasts: dict[str, str], tracker: Any = None) -> list[str]:
    return run_jobs(
        [job],
        lambda cells, capacity: [],
        Location.of(cells),
        tracker or silent(),
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


@pytest.mark.parametrize("what", ["gone", "damaged"])
def test_data_that_are_no_more_what_they_were_are_told_and_are_no_outcome_of_a_cell(
    cell: Cell, summed: Path, tmp_path: Path, what: str
) -> None:
    if what == "gone":
        shutil.rmtree(summed)
    else:
        flip_a_bit(summed / "packed" / "train.tokens.npy")
    cells = tmp_path / "cells"
    job = Job((replace(cell, arch="lstm"),), Location.of(summed), Placement(retries=1))
    tracker = silent()
    (line,) = ran(job, cells, {}, tracker)
    assert str(summed) in line
    assert ("found sum" in line) == (what == "damaged")
    assert not list(cells.rglob("record.json"))
    # While other jobs still ran.
    assert ray.get(tracker.stopped_jobs.remote()) == [line]


def test_a_job_that_stops_is_told_once_and_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(standing, "complain", said.append)
    monkeypatch.setattr(standing, "ASK_SECONDS", 0.05)
    tracker = silent()
    watch = standing.Standing(Location.of(tmp_path), Location.of(tmp_path / "alive.json"))
    watch.stands_on(tracker)
    tracker.job_stopped.remote("the data are gone")
    wait_until(lambda: said)
    tracker.job_stopped.remote("so is the disk")
    wait_until(lambda: said[1:])
    watch.close()
    assert said == [
        "Stopped  the data are gone. Jobs that run go on.",
        "Stopped  so is the disk. Jobs that run go on.",
    ]
