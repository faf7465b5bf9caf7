"""Ray Tune over the cells that have not ended: as many at a time as the cluster carries."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

import ray
from ray import tune
from ray.train import TrainingFailedError

from data.storage import Location
from sweeps.records import Record, write_record
from trainers.cell import Cell, Placement
from trainers.job import QUIET_AND_QUICK, Outcome, fit

DRIVER = {"node:__internal_head__": 0.001}
"""What a trial's driver holds. It only waits, so no CPU: drivers would hold those that their own
workers need, for ever. And it waits on the head, which is not preempted."""


def at_a_time(placement: Placement) -> int:
    """How many cells the cluster carries at once."""
    cluster = ray.cluster_resources()
    cells = cluster.get("CPU", 0) / (placement.workers * placement.cpus)
    if placement.gpus:
        cells = min(cells, cluster.get("GPU", 0) / (placement.workers * placement.gpus))
    return max(1, int(cells + 1e-6))


def run_cells(
    pending: list[Cell],
    data: Location,
    cells: Location,
    placement: Placement,
    tracker: Any,
    verbose: int,
) -> None:
    """Train `pending` in order and write each one's record when it ends. Blocks.

    cells: the folder of checkpoints and records, which every node sees, as `data`.
    tracker: handle of the `sweeps.tracking.Tracker` actor.
    """
    by_key = {cell.key: cell for cell in pending}
    # Tune would answer Ctrl-C by ending as if all were well.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"

    def trial(config: dict[str, str]) -> None:
        run_cell(by_key[config["cell"]], data, cells, placement, tracker)

    with tempfile.TemporaryDirectory(prefix="crescendo-tune-") as folder:
        tune.Tuner(
            tune.with_resources(trial, tune.PlacementGroupFactory([DRIVER])),
            param_space={"cell": tune.grid_search([cell.key for cell in pending])},
            tune_config=tune.TuneConfig(
                max_concurrent_trials=at_a_time(placement), reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name="sweep",
                # Trials leave nothing here: records and checkpoints are what lasts.
                storage_path=folder,
                verbose=verbose,
                failure_config=tune.FailureConfig(max_failures=placement.retries),
            ),
        ).fit()


def run_cell(
    cell: Cell, data: Location, cells: Location, placement: Placement, tracker: Any
) -> None:
    """Train one cell, from wherever it stands, and write its record."""
    os.environ.update({**QUIET_AND_QUICK, **os.environ})
    params, started = cell.params(), time.time()
    tracker.start.remote(cell.key, params)

    def report(points: list) -> None:
        tracker.points.remote(cell.key, points)

    try:
        outcome = fit(cell, data, cells, placement, report)
    except TrainingFailedError as error:
        outcome = Outcome("failed", _reason(error), {}, [])
    record = Record(cell.key, params=params, started=started, ended=time.time(), **vars(outcome))
    write_record(cells, cell, record)
    ray.get(tracker.finish.remote(record))


def _reason(error: BaseException) -> str:
    """The last line of what went wrong: the exception itself, below its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
