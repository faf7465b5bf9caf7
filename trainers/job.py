"""Cells as one Ray Train job: the same data-parallel workers train one after another.

Ray Train places the workers and reports lost ones. It keeps no state: wherever a cell is started,
it finds its own checkpoints in its folder, and its record says that it has ended.
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
from ray.exceptions import RayActorError, RayError
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
from torch import nn

from data.errors import DataError, one_line
from data.store.flat import check_sums, local_copy
from data.store.location import Location, patiently
from data.store.versioned import VersionError
from trainers.cell import Cell, Placement
from trainers.checkpoint import CheckpointError
from trainers.curve import DivergedError, Point
from trainers.device import ran_on, settle
from trainers.gradients import World
from trainers.kernels import Work, described, prepared
from trainers.loop import StoppedError, train
from trainers.losses import write_losses
from trainers.records import record_path
from trainers.trunks import Checkpoints

NOTICE_SECONDS = 2
"""How often a worker asks whether its machine is about to be taken away."""

SCRATCH = ".ray"
"""A folder below the storage for what Ray Train insists on writing, removed when a job ends."""

LONGEST_REASON = 300
"""Characters of what is kept of an error."""
DIED = "the process that trained it died: it was killed, or crashed"
OUT_OF_MEMORY = "the process that trained it was killed: the machine ran out of memory"

UNHEARD = "the process that cells report to died"
LOW_ON_MEMORY = "running low on memory"
"""In Ray's message when it killed a worker for the memory that it had."""

NODE_DIED = "node has died"
"""In Ray's message when a worker died because its machine was lost without notice."""

QUIET_AND_QUICK = {
    # How often the controller checks its workers; the default of 2 s would be paid several times
    # per job.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # Off: it takes one more process per job to ask whether a node is about to be taken. A node
    # lost without notice costs what has been trained since the last checkpoint.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Environment of the process that calls `fit`; Ray passes it on to the controller and workers."""


class AroundError(RuntimeError):
    """What no cell did: storage that is full or gone, damaged data, a lost tracker. One line."""


@dataclass(frozen=True)
class Outcome:
    """How a cell ended."""

    status: str
    """finished, diverged or failed."""
    reason: str
    measured: dict[str, float]
    """Measurements by the names of the run record; empty if it did not finish."""
    curve: list[Point]
    started: float
    """When its last attempt began, seconds since the epoch."""
    ran_on: dict[str, Any] = field(default_factory=dict)
    """`trainers.device.ran_on` of the last attempt, the kernels that `trainers.kernels.described`
    names, and `tokens_from_trunk` if the cell branched off a trunk; empty if every attempt
    failed."""


@dataclass(frozen=True)
class Listener:
    """Callbacks for a job's cells. Pickled, so they can hold actor handles but no connections."""

    began: Callable[[Cell], None]
    """Called before a cell trains: by `fit` itself for a job's first cell, because the workers take
    seconds to start, and by the first worker for the others."""
    points: Callable[[Cell, list[Point]], None]
    """Called by the first worker with new points of a curve; after a resume, also with all earlier
    ones."""
    ended: Callable[[Cell, Outcome], None]
    """Called when a cell has ended, before the next one begins; writes its record."""
    leave: Callable[[], bool]
    """Polled by the workers: whether to save and end."""


def fit(
    cells: list[Cell], data: Location, storage: Location, placement: Placement, listener: Listener
) -> None:
    """Train those of `cells` that have no record, in order, and wait until all have one.

    cells: of one architecture and size, so that they can share workers.
    data, storage: folders that every node sees; a cell's checkpoints and record lie below
    `storage`/key.
    If training fails during a cell, the cell is retried from its last checkpoint, as often as
    `placement` says; after that its outcome is "failed", and the job continues with the next.
    Raises AroundError for what happened around the cells, such as a disk that stays full or data
    that were damaged: that is no outcome, and the same call goes on.
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
            if around := _around(error):
                raise around from None
            failures[cell.key] += 1
            if failures[cell.key] > placement.retries:
                if isinstance(error, ControllerError):
                    raise AroundError(reason(error)) from None
                listener.ended(cell, Outcome("failed", reason(error), {}, [], started))
        # If it returned with cells left, a machine is about to be taken away: the cell has saved
        # and continues elsewhere.


def reason(error: BaseException) -> str:
    """What went wrong, in one short line: the exception without its traceback."""
    if any(isinstance(cause, RayActorError) for cause in _causes(error)):
        # Ray's message is a page of what it may have been.
        return OUT_OF_MEMORY if LOW_ON_MEMORY in str(error) else DIED
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # The exception's message may continue on later lines.
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    line = (named or lines or [type(error).__name__])[-1]
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."


def _causes(error: BaseException) -> list[BaseException]:
    """What each worker ended with, as far as Ray says."""
    failures = getattr(error, "worker_failures", {}).values()
    return [getattr(failure, "health_check_failure", failure) for failure in failures]


def _around(error: TrainingFailedError) -> AroundError | None:
    """What happened around the cells, if it was that."""
    return next((each for each in _causes(error) if isinstance(each, AroundError)), None)


def _lost_a_machine(error: TrainingFailedError) -> bool:
    """Whether the workers lost their machine, which is no fault of the cell."""
    return isinstance(error, PreemptionError) or any(
        isinstance(cause, RayActorError) and (cause.preempted or NODE_DIED in str(cause))
        for cause in _causes(error)
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
            accelerator_type=placement.accelerator or None,
        ),
        run_config=RunConfig(
            name=scratch.name,
            storage_path=str(scratch.parent),
            # Attempts are counted per cell; Ray only knows jobs.
            failure_config=FailureConfig(max_failures=0, max_preemption_failures=0),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )

    def attempt() -> None:
        try:
            trainer.fit()
        except ControllerError as error:
            if isinstance(error.controller_failure, OSError):
                # For example, a full disk when Ray writes to its folder: no fault of the cell.
                raise error.controller_failure from None
            raise

    try:
        patiently(attempt)
    except OSError as error:
        raise AroundError(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            scratch.delete()


def _work(config: dict[str, Any]) -> None:
    """The function that every worker runs."""
    # Only here are the errors themselves at hand: Ray passes on what can be pickled of them.
    try:
        _work_through(config)
    except RayActorError as error:
        raise AroundError(UNHEARD) from error
    except (OSError, DataError, VersionError, CheckpointError, RayError) as error:
        raise AroundError(one_line(error)[:LONGEST_REASON]) from error


def _work_through(config: dict[str, Any]) -> None:
    context = ray.train.get_context()
    world = World(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())
    settle(world.device, config["placement"].gpus)
    data, listener = local_copy(config["data"]), config["listener"]
    check_sums(Location.of(data))
    for number, cell in enumerate(config["cells"]):
        if number and world.rank == 0:
            listener.began(cell)
        steps = sum(each.steps for each in config["cells"][number:])
        work = Work(cell, world, config["placement"].compile, steps, config["storage"].parent)
        outcome = _train(work, data, config["storage"], config["placement"], listener)
        if outcome is None:
            return
        if world.rank == 0:
            listener.ended(cell, outcome)
        # A model and its compiled code refer to each other, and would occupy the next one's memory.
        gc.collect()


def _train(
    work: Work, data: Path, storage: Location, placement: Placement, listener: Listener
) -> Outcome | None:
    """How the cell ended; None if it was asked to leave and has saved."""
    cell, world = work.cell, work.world
    started, folder = time.time(), storage / cell.key
    checkpoints = Checkpoints(storage, cell)
    curve: list[Point] = []
    kernels: dict[str, Any] = {}

    def prepare(
        model: nn.Module, before: dict[str, Any] | None, micro_tokens: int
    ) -> tuple[nn.Module, dict[str, Any]]:
        made, chosen = prepared(model, before, micro_tokens, work)
        kernels.update(described(model, chosen, world.device))
        return made, chosen

    def report(points: list[Point]) -> None:
        curve.extend(points)
        if world.rank == 0:
            listener.points(cell, points)

    def first_alone(save: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        """Save on the first worker only: all have the same state."""
        return lambda state: patiently(lambda: save(state)) if world.rank == 0 else None

    def where() -> dict[str, Any]:
        taken = checkpoints.tokens_from_trunk
        trunk = {"tokens_from_trunk": taken} if taken else {}
        return ran_on(world.device) | {"workers": world.size} | kernels | trunk

    asked = time.monotonic()

    def stop() -> bool:
        """Whether a worker's machine is about to be taken away, or the job is to end.

        Several workers must all ask Ray at the same points. A single worker calls this after every
        step, and asks Ray only every `NOTICE_SECONDS`.
        """
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
            prepare=prepare,
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
        # Not re-raised: Ray would count it as a failure.
        return None
    except DivergedError as error:
        # Not re-raised: a retry would diverge again.
        return Outcome("diverged", str(error), {}, curve, started, where())
    return Outcome("finished", "", measured, curve, started, where())
