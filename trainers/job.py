"""Cells as one Ray Train job: the same data-parallel workers train one after another.

Ray Train places the workers and says when they are lost. It keeps nothing: a cell finds its own
checkpoints by looking, whoever starts it and wherever, and its record says that it has ended.
"""

from __future__ import annotations

import contextlib
import gc
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.exceptions import RayActorError
from ray.train import (
    ControllerError,
    FailureConfig,
    LoggingConfig,
    PreemptionError,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
)
from ray.train.torch import TorchConfig, TorchTrainer

from data.store.flat import local_copy
from data.store.location import Location, patiently
from trainers.cell import Cell, Placement
from trainers.curve import DivergedError, Point
from trainers.gradients import World
from trainers.loop import StoppedError, prepare, ran_on, train
from trainers.losses import write_losses
from trainers.records import record_path
from trainers.trunks import Checkpoints

NOTICE_SECONDS = 2
"""How often a worker asks whether its machine is about to be taken away."""

SCRATCH = ".ray"
"""Below the storage: what Ray Train insists on writing, removed when a job ends."""

NODE_DIED = "node has died"
"""How Ray's message names the death of a worker whose machine is gone, without notice."""

QUIET_AND_QUICK = {
    # The controller looks after its workers this often; the default of 2 s is paid several times
    # in each job.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # A process a job that asks whether its node is about to be taken. A node lost without notice
    # costs what has been trained since the last checkpoint.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Environment of the process that calls `fit`; Ray passes it on to controller and workers."""


@dataclass(frozen=True)
class Outcome:
    """How a cell ended."""

    status: str
    """finished, diverged or failed."""
    reason: str
    measured: dict[str, float]
    """By the names of the run record; empty if it did not finish."""
    curve: list[Point]
    started: float
    """When its last try began, seconds since the epoch."""
    ran_on: dict[str, Any] = field(default_factory=dict)
    """As `trainers.loop.ran_on` has it, of the last try, and `tokens_from_trunk` where the cell
    branched off; empty if every try failed."""


@dataclass(frozen=True)
class Listener:
    """What is told of a job's cells. Pickled, so it can hold actor handles but no connections."""

    began: Callable[[Cell], None]
    """Called before a cell trains: by the caller of `fit` for a job's first one, whose workers take
    seconds to come up, and by the first worker for those that follow."""
    points: Callable[[Cell, list[Point]], None]
    """Called by the first worker with new points of a curve; after a resume, with all earlier ones,
    too."""
    ended: Callable[[Cell, Outcome], None]
    """Called when a cell has ended, before the next one begins; writes its record."""
    leave: Callable[[], bool]
    """Asked by the workers now and then: whether to save and end."""


def fit(
    cells: list[Cell], data: Location, storage: Location, placement: Placement, listener: Listener
) -> None:
    """Train those of `cells` that have no record, in their order, and wait until all have one.

    cells: of one architecture and size, that can share workers.
    data, storage: folders that every node sees; a cell's checkpoints and record lie below
    `storage`/key.
    A cell during which training fails is tried again from its last checkpoint, as often as
    `placement` says; then its outcome is "failed", and the job goes on with the next.
    Raises OSError when the storage stays full or out of reach.
    """

    def has_ended(cell: Cell) -> bool:
        return record_path(storage, cell.key).exists()

    failures: Counter[str] = Counter()
    while pending := [cell for cell in cells if not has_ended(cell)]:
        started = time.time()
        listener.began(pending[0])
        try:
            _run(pending, data, storage, placement, listener)
        except TrainingFailedError as error:
            cell = next((cell for cell in pending if not has_ended(cell)), None)
            if cell is None or _lost_a_machine(error):
                continue
            failures[cell.key] += 1
            if failures[cell.key] > placement.retries:
                listener.ended(cell, Outcome("failed", reason(error), {}, [], started))
        # Where it returned and cells are left, a machine is about to be taken away: the cell has
        # saved, and goes on elsewhere.


def reason(error: BaseException) -> str:
    """What went wrong as one line: the exception itself, below its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Its message may go on below.
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return (named or lines or [type(error).__name__])[-1]


def _lost_a_machine(error: TrainingFailedError) -> bool:
    """Whether a machine went away under the workers, for which no cell is to blame."""
    failures = getattr(error, "worker_failures", {}).values()
    causes = [getattr(failure, "health_check_failure", failure) for failure in failures]
    return isinstance(error, PreemptionError) or any(
        isinstance(cause, RayActorError) and (cause.preempted or NODE_DIED in str(cause))
        for cause in causes
    )


def _run(
    cells: list[Cell], data: Location, storage: Location, placement: Placement, listener: Listener
) -> None:
    """Start workers that train `cells`. Returns when all have ended or the workers were asked to
    leave. Raises TrainingFailedError at the first failure."""
    # Ray wants a folder that every node sees, and a name in it that is new.
    scratch = storage / SCRATCH / uuid.uuid4().hex
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "cells": cells,
            "data": data,
            "storage": storage,
            "placement": placement,
            "listener": listener,
        },
        torch_config=TorchConfig(backend="nccl" if placement.gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=placement.workers,
            use_gpu=placement.gpus > 0,
            resources_per_worker={"CPU": placement.cpus}
            | ({"GPU": placement.gpus} if placement.gpus else {}),
        ),
        run_config=RunConfig(
            name=scratch.name,
            storage_path=str(scratch.parent),
            # Tries are counted for each cell, and Ray knows of jobs only.
            failure_config=FailureConfig(max_failures=0, max_preemption_failures=0),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )

    def attempt() -> None:
        try:
            trainer.fit()
        except ControllerError as error:
            if isinstance(error.controller_failure, OSError):
                # Such as a full disk when Ray writes to its folder: no fault of a cell.
                raise error.controller_failure from None
            raise

    try:
        patiently(attempt)
    finally:
        with contextlib.suppress(OSError):
            scratch.delete()


def _work(config: dict[str, Any]) -> None:
    """What every worker runs."""
    context = ray.train.get_context()
    world = World(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())
    torch.set_float32_matmul_precision("high")
    data, listener = local_copy(config["data"]), config["listener"]
    for number, cell in enumerate(config["cells"]):
        if number and world.rank == 0:
            listener.began(cell)
        outcome = _train(cell, data, world, config["storage"], config["placement"], listener)
        if outcome is None:
            return
        if world.rank == 0:
            listener.ended(cell, outcome)
        # A model and its compiled code hold each other, and the memory of the next one.
        gc.collect()


def _train(
    cell: Cell,
    data: Path,
    world: World,
    storage: Location,
    placement: Placement,
    listener: Listener,
) -> Outcome | None:
    """How `cell` ended; None if it was asked to leave and has saved."""
    started, folder = time.time(), storage / cell.key
    checkpoints = Checkpoints(storage, cell)
    curve: list[Point] = []

    def report(points: list[Point]) -> None:
        curve.extend(points)
        if world.rank == 0:
            listener.points(cell, points)

    def first_alone(save: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        """All workers have the same state."""
        return lambda state: patiently(lambda: save(state)) if world.rank == 0 else None

    def where() -> dict[str, Any]:
        taken = checkpoints.tokens_from_trunk
        return ran_on(world) | ({"tokens_from_trunk": taken} if taken else {})

    asked = time.monotonic()

    def stop() -> bool:
        """Whether a worker's machine is about to be taken away, or the job is to end. All workers
        must ask as often; one alone, which is asked after every step, asks Ray now and then."""
        nonlocal asked
        if world.size == 1 and time.monotonic() - asked < NOTICE_SECONDS:
            return False
        asked = time.monotonic()
        return ray.train.get_preemption_info() is not None or listener.leave()

    try:
        measured = train(
            cell,
            data,
            world,
            prepare=lambda model: prepare(model, world.device),
            restore=lambda: checkpoints.restore(world),
            save=first_alone(checkpoints.save),
            save_trunk=first_alone(checkpoints.save_trunk),
            keep=lambda losses: write_losses(folder, losses) if world.rank == 0 else None,
            report=report,
            stop=stop,
            micro_tokens=placement.micro_tokens,
            checkpoint_seconds=placement.checkpoint_seconds,
        )
    except StoppedError:
        # Not raised: Ray would take it for a failure.
        return None
    except DivergedError as error:
        # Not raised: trying again would diverge again.
        return Outcome("diverged", str(error), {}, curve, started, where())
    return Outcome("finished", "", measured, curve, started, where())
