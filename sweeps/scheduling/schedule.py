"""Ray Tune over the jobs of a sweep: as many at a time as fit on the cluster now."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from data.store.location import Location
from sweeps.scheduling.jobs import Job
from sweeps.scheduling.packing import Capacity, Demand, Pool, in_order
from trainers.cell import Cell
from trainers.curve import Point
from trainers.job import (
    QUIET_AND_QUICK,
    SCRATCH,
    AroundError,
    Listener,
    Outcome,
    fit,
    reason,
)
from trainers.records import Record, write_record

DRIVER = {"node:__internal_head__": 0.001}
"""What a trial's driver holds. It only waits, so it takes no CPU; otherwise drivers could for ever
hold those that their own workers need. It waits on the head, which is not preempted."""

PATIENT = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(7 * 86_400)}
"""Otherwise Train would stop waiting for GPUs after a minute, and start again."""

KIND = "accelerator_type:"
"""What Ray has before the kind of a node's GPUs, in the name of a resource."""

AHEAD = 1
"""Jobs, for each kind of GPU, started before there is room for them. While their workers wait for a
placement, their controllers, which need seconds to start, get ready."""

STARTING = 16
"""The most trials whose processes start at the same time."""

POLL_SECONDS = 1.0
"""How often the cluster is asked for its resources."""

AROUND = "around"
"""The name under which a trial returns what ended its job, if no cell did."""

TELL_SECONDS = 1.0
"""The least time between a running cell's reports of its points: MLflow takes as long for one as
for many, and shares the processors with the cells."""


def present() -> Capacity:
    """The cluster's resources now."""
    found, kinds = ray.cluster_resources(), Counter[str]()
    for node in ray.nodes():
        has = node["Resources"] if node["Alive"] else {}
        for name in filter(lambda name: name.startswith(KIND), has):
            kinds[name.removeprefix(KIND)] += int(has.get("GPU", 0))
    return Capacity(cpus=found.get("CPU", 0.0), gpus=int(found.get("GPU", 0)), kinds=kinds)


Again = Callable[[list[Demand], Capacity], list[Demand]]
"""Cuts what waits anew, for a cluster that has changed."""


def unchanged(demands: list[Demand], capacity: Capacity) -> list[Demand]:
    """For demands that cannot be cut otherwise."""
    return demands


class Admission(Searcher):
    """Tells Tune which job to start once there is room for it.

    Tune's own limit is a number of trials, fixed at the start. But jobs take different shares of a
    cluster that grows and shrinks, so free resources are checked each time and Tune has no limit.
    """

    def __init__(
        self,
        demands: list[Demand],
        again: Again = unchanged,
        capacity: Callable[[], Capacity] = present,
    ) -> None:
        """again: called with the demands that wait when the cluster has changed."""
        super().__init__(metric="none", mode="min")
        self.again = again
        self.capacity = capacity
        self.pool = Pool(capacity())
        self.waiting = in_order(demands, self.pool.capacity)
        self.started: dict[str, str] = {}
        self.ahead: list[Demand] = []
        self.asked = time.monotonic()

    def suggest(self, trial_id: str) -> dict[str, tuple[str, ...]] | str | None:
        if not self.waiting:
            return Searcher.FINISHED
        if time.monotonic() - self.asked > POLL_SECONDS:
            self.resize(self.capacity())
        self.ahead = [demand for demand in self.ahead if not self.pool.take(demand)]
        chosen = next(filter(self.pool.take, self.waiting), None)
        if chosen is None:
            ahead = Counter(demand.accelerator for demand in self.ahead)
            others = (each for each in self.waiting if ahead[each.accelerator] < AHEAD)
            if chosen := next(others, None):
                self.ahead.append(chosen)
        if chosen is None:
            return None
        self.waiting.remove(chosen)
        self.started[trial_id] = chosen.key
        return {"job": chosen.cells or (chosen.key,)}

    def resize(self, capacity: Capacity) -> None:
        self.asked = time.monotonic()
        if capacity != self.pool.capacity:
            self.pool.capacity = capacity
            self.waiting = in_order(self.again(self.waiting, capacity), capacity)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        key = self.started.pop(trial_id)
        self.pool.give_back(key)
        self.ahead = [demand for demand in self.ahead if demand.key != key]

    def save(self, checkpoint_path: str) -> None:
        """Saves nothing: records say what is done, and a new sweep makes a new order."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a sweep goes on from its records")

    def __getstate__(self) -> dict[str, Any]:
        """Nothing either: Tune pickles what it may have to restore, and `again` may hold more."""
        return {}


def run_jobs(
    jobs: list[Job],
    cut: Callable[[list[Cell], Capacity], list[Job]],
    cells: Location,
    tracker: Any,
    forecasts: Mapping[str, str],
    verbose: int,
) -> list[str]:
    """Train the cells of `jobs`; each one's record is written when it ends. Blocks.

    Returns why jobs ended before their cells did, a line each: no cell's doing.

    cut: jobs of the cells whose job has not started, for a cluster that has changed.
    cells: the folder of checkpoints and records, which every node sees.
    tracker: handle of the `sweeps.tracking.tracker.Tracker` actor.
    forecasts: the sha256 of the forecast that a target's record is to carry, by key.
    """
    if not jobs:
        return []
    by_key = {cell.key: (cell, job) for job in jobs for cell in job.cells}
    listener = listener_of(cells, tracker, forecasts)
    # Left behind by a sweep that was killed.
    (cells / SCRATCH).delete()

    def trial(config: dict[str, tuple[str, ...]]) -> dict[str, str]:
        os.environ.update({**PATIENT, **QUIET_AND_QUICK, **os.environ})
        # However cells are divided into jobs, their data and placement stay.
        chosen, (job, *_) = zip(*(by_key[key] for key in config["job"]))
        try:
            fit(list(chosen), job.data, cells, job.placement, listener)
        except AroundError as error:
            # Told now, and once more when all have ended.
            tracker.job_stopped.remote(str(error))
            # Not raised: Tune would try again at once what has just been tried for minutes.
            return {AROUND: str(error)}
        return {}

    def again(waiting: list[Demand], capacity: Capacity) -> list[Demand]:
        left = [by_key[key][0] for demand in waiting for key in demand.cells]
        return [job.demand for job in cut(left, capacity)]

    faults = run_trials(
        trial,
        [job.demand for job in jobs],
        again,
        retries=max(job.placement.retries for job in jobs),
        verbose=verbose,
    )
    # Left behind by a driver that was killed.
    (cells / SCRATCH).delete()
    return faults


def run_trials(
    trial: Callable[[dict[str, tuple[str, ...]]], dict[str, str] | None],
    demands: list[Demand],
    again: Again = unchanged,
    *,
    retries: int,
    verbose: int,
) -> list[str]:
    """Call `trial` with {"job": keys} for each demand, in processes of their own. Blocks.

    The keys are those of the job's cells, or the demand's own; `again` is as for `Admission`.
    Returns the different lines that trials returned as AROUND, or ended with.
    """
    # On Ctrl-C, Tune would end as if all were well.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    # What trials return has nothing that Tune could compare.
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"
    # By default it starts one trial at a time, and each takes seconds.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(STARTING)
    with tempfile.TemporaryDirectory(prefix="crescendo-tune-") as folder:
        results = tune.Tuner(
            tune.with_resources(trial, tune.PlacementGroupFactory([DRIVER])),
            tune_config=tune.TuneConfig(
                search_alg=Admission(demands, again), num_samples=-1, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name="sweep",
                # Trials keep nothing here: only records and checkpoints last.
                storage_path=folder,
                verbose=verbose,
                failure_config=tune.FailureConfig(max_failures=retries),
            ),
        ).fit()
        told = [
            reason(each.error) if each.error else (each.metrics or {}).get(AROUND)
            for each in results
        ]
    return sorted({line for line in told if line})


def listener_of(cells: Location, tracker: Any, forecasts: Mapping[str, str]) -> Listener:
    """A listener that writes the cells' records below `cells` and reports to the tracker."""
    unsent: list[Point] = []
    told = 0.0

    def began(cell: Cell) -> None:
        unsent.clear()
        tracker.start.remote(cell.key, cell.params(), forecasts.get(cell.key, ""))

    def points(cell: Cell, new: list[Point]) -> None:
        nonlocal told
        unsent.extend(new)
        if time.monotonic() - told > TELL_SECONDS:
            tracker.points.remote(cell.key, list(unsent))
            told = time.monotonic()
            unsent.clear()

    def ended(cell: Cell, outcome: Outcome) -> None:
        record = Record(
            cell.key,
            params=cell.params(),
            ended=time.time(),
            forecast=forecasts.get(cell.key, ""),
            **vars(outcome),
        )
        write_record(cells, record)
        # The record has the whole curve, including unsent points.
        ray.get(tracker.finish.remote(record))

    def leave() -> bool:
        return ray.get(tracker.is_leaving.remote())

    return Listener(began, points, ended, leave)
