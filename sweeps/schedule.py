"""Ray Tune over the cells that have not ended: as many at a time as the cluster carries now."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.train import TrainingFailedError
from ray.tune.search import Searcher

from data.store.location import Location
from sweeps.errors import GridError
from sweeps.packing import Capacity, Demand, Pool, in_order
from sweeps.records import Record, write_record
from trainers.cell import Cell, Placement
from trainers.job import QUIET_AND_QUICK, Outcome, fit
from trainers.names import names

DRIVER = {"node:__internal_head__": 0.001}
"""What a trial's driver holds. It only waits, so no CPU: drivers would hold those that their own
workers need, for ever. And it waits on the head, which is not preempted."""

PATIENT = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(7 * 86_400)}
"""Train would give up waiting for GPUs, and begin to wait anew, after a minute."""

AHEAD = 1
"""Cells that are started before there is room for them. Their workers wait for a placement, and
meanwhile their controllers, which need seconds to start, stand ready."""

STARTING = 16
"""Trials whose processes come up at one time, at most."""

POLL_SECONDS = 1.0
"""How often the cluster is asked what it has."""


@dataclass(frozen=True)
class Job:
    """A cell that is to be trained."""

    cell: Cell
    data: Location
    placement: Placement
    seconds: float = 0.0
    """Expected."""
    forecast: str = ""
    """What its record is to carry."""

    @property
    def demand(self) -> Demand:
        return Demand.of(self.cell.key, self.placement, self.seconds)


def present() -> Capacity:
    """What the cluster has now."""
    found = ray.cluster_resources()
    return Capacity(cpus=found.get("CPU", 0.0), gpus=int(found.get("GPU", 0)))


def refuse_what_never_fits(jobs: list[Job]) -> None:
    """Raises GridError for a cell that the present cluster could not hold if it were empty."""
    capacity = present()
    called = names({job.cell.key: vars(job.cell) for job in jobs})
    for demand in [job.demand for job in jobs]:
        if not capacity.holds(demand):
            raise GridError(
                f"{called[demand.key]} takes {demand.gpus:g} GPUs and {demand.cpus:g} CPUs; "
                f"this machine has {capacity.gpus} and {capacity.cpus:g}"
            )


class Admission(Searcher):
    """Tells Tune which cell to start, when there is room for it.

    Tune's own limit is a number of trials, fixed when it starts. Cells take different shares of a
    cluster that grows and shrinks; so the room is looked up anew, and Tune has no limit.
    """

    def __init__(self, demands: list[Demand], capacity: Callable[[], Capacity] = present) -> None:
        super().__init__(metric="none", mode="min")
        self.capacity = capacity
        self.pool = Pool(capacity())
        self.waiting = in_order(demands, self.pool.capacity)
        self.started: dict[str, str] = {}
        self.ahead: list[Demand] = []
        self.asked = time.monotonic()

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        if not self.waiting:
            return Searcher.FINISHED
        if time.monotonic() - self.asked > POLL_SECONDS:
            self.resize(self.capacity())
        self.ahead = [demand for demand in self.ahead if not self.pool.take(demand)]
        chosen = next(filter(self.pool.take, self.waiting), None)
        if chosen is None and len(self.ahead) < AHEAD:
            chosen = self.waiting[0]
            self.ahead.append(chosen)
        if chosen is None:
            return None
        self.waiting.remove(chosen)
        self.started[trial_id] = chosen.key
        return {"cell": chosen.key}

    def resize(self, capacity: Capacity) -> None:
        self.asked = time.monotonic()
        if capacity != self.pool.capacity:
            self.pool.capacity = capacity
            self.waiting = in_order(self.waiting, capacity)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        key = self.started.pop(trial_id)
        self.pool.give_back(key)
        self.ahead = [demand for demand in self.ahead if demand.key != key]

    def save(self, checkpoint_path: str) -> None:
        """Nothing: records say what is done, and a new sweep makes a new order."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a sweep goes on from its records")


def run_cells(jobs: list[Job], cells: Location, tracker: Any, verbose: int) -> None:
    """Train `jobs` and write each one's record when it ends. Blocks.

    cells: the folder of checkpoints and records, which every node sees.
    tracker: handle of the `sweeps.tracking.Tracker` actor.
    """
    if not jobs:
        return
    by_key = {job.cell.key: job for job in jobs}

    def trial(config: dict[str, str]) -> None:
        run_cell(by_key[config["cell"]], cells, tracker)

    run_trials(
        trial,
        [job.demand for job in jobs],
        retries=max(job.placement.retries for job in jobs),
        verbose=verbose,
    )


def run_trials(
    trial: Callable[[dict[str, str]], None], demands: list[Demand], retries: int, verbose: int
) -> None:
    """Call `trial` with {"cell": key} for each demand, in processes of their own. Blocks."""
    # Tune would answer Ctrl-C by ending as if all were well.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    # It would start one trial after the other; each takes seconds to come up.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(STARTING)
    with tempfile.TemporaryDirectory(prefix="crescendo-tune-") as folder:
        tune.Tuner(
            tune.with_resources(trial, tune.PlacementGroupFactory([DRIVER])),
            tune_config=tune.TuneConfig(
                search_alg=Admission(demands), num_samples=len(demands), reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name="sweep",
                # Trials leave nothing here: records and checkpoints are what lasts.
                storage_path=folder,
                verbose=verbose,
                failure_config=tune.FailureConfig(max_failures=retries),
            ),
        ).fit()


def run_cell(job: Job, cells: Location, tracker: Any) -> None:
    """Train one cell, from wherever it stands, and write its record."""
    os.environ.update({**PATIENT, **QUIET_AND_QUICK, **os.environ})
    cell = job.cell
    params, started = cell.params(), time.time()
    tracker.start.remote(cell.key, params, job.forecast)

    def report(points: list) -> None:
        tracker.points.remote(cell.key, points)

    def leave() -> bool:
        return ray.get(tracker.is_leaving.remote())

    try:
        outcome = fit(cell, job.data, cells, job.placement, report, leave)
    except TrainingFailedError as error:
        outcome = Outcome("failed", reason(error), {}, [])
    record = Record(
        cell.key,
        params=params,
        started=started,
        ended=time.time(),
        forecast=job.forecast,
        **vars(outcome),
    )
    write_record(cells, record)
    ray.get(tracker.finish.remote(record))


def reason(error: BaseException) -> str:
    """What went wrong as one line: the exception itself, below its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Its message may go on below.
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return (named or lines or [type(error).__name__])[-1]
