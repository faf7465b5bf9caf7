"""One cell as a Ray Train job: data-parallel workers around `trainers.loop`, with checkpoints.

The job's name is the cell's key. Started again with the same storage, it goes on from its newest
checkpoint, whoever starts it and wherever.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray.train
import torch
from ray.train import (
    CheckpointConfig,
    CheckpointUploadMode,
    ControllerError,
    FailureConfig,
    LoggingConfig,
    RunConfig,
    ScalingConfig,
)
from ray.train.torch import TorchConfig, TorchTrainer

from data.store.flat import local_copy
from data.store.location import Location, patiently
from trainers import checkpoint
from trainers.cell import Cell, Placement
from trainers.gradients import World
from trainers.loop import DivergedError, Point, StoppedError, prepare, ran_on, train
from trainers.losses import write_losses

NOTICE_SECONDS = 2
"""How often a worker asks whether its machine is about to be taken away."""

QUIET_AND_QUICK = {
    # The controller looks after its workers this often; the default of 2 s is paid several times
    # in each cell.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # A process a cell that asks whether its node is about to be taken. A node lost without notice
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
    """By the names of the run record; empty if it diverged."""
    curve: list[Point]
    ran_on: dict[str, Any] = field(default_factory=dict)
    """As `trainers.loop.ran_on` has it, of the last try; empty if every one failed."""


def fit(
    cell: Cell,
    data: Location,
    storage: Location,
    placement: Placement,
    report: Callable[[list[Point]], None],
    leave: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train `cell`, or go on with it, and wait for its end.

    data, storage: folders that every node sees; the job writes below `storage`/key.
    report: called in the first worker with new points of the curve (all earlier ones after a
    resume); it is pickled, so it can hold actor handles but no connections.
    leave: asked by the workers now and then, whether to save and end; pickled as `report` is.
    Raises ray.train.TrainingFailedError when every retry failed, OSError when the storage stays
    full or out of reach.
    """

    def until_it_returns() -> Outcome | None:
        _mend_snapshot(storage, cell.key)
        try:
            return _trainer(cell, data, storage, placement, report, leave).fit().return_value
        except ControllerError as error:
            if isinstance(error.controller_failure, OSError):
                # Such as a full disk when Ray lists the checkpoints: no fault of the cell.
                raise error.controller_failure from None
            raise

    while True:
        outcome = patiently(until_it_returns)
        if outcome is not None:
            return outcome
        # A machine is about to be taken away: the cell has saved, and goes on elsewhere. It has
        # returned and not raised, because Ray would count that among its failures.


def _trainer(
    cell: Cell,
    data: Location,
    storage: Location,
    placement: Placement,
    report: Callable[[list[Point]], None],
    leave: Callable[[], bool],
) -> TorchTrainer:
    return TorchTrainer(
        _work,
        train_loop_config={
            "cell": cell,
            "data": data,
            "storage": storage,
            "report": report,
            "leave": leave,
            "micro_tokens": placement.micro_tokens,
            "checkpoint_seconds": placement.checkpoint_seconds,
        },
        torch_config=TorchConfig(backend="nccl" if placement.gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=placement.workers,
            use_gpu=placement.gpus > 0,
            resources_per_worker={"CPU": placement.cpus}
            | ({"GPU": placement.gpus} if placement.gpus else {}),
        ),
        run_config=RunConfig(
            name=cell.key,
            storage_path=str(storage),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            failure_config=FailureConfig(max_failures=placement.retries),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )


def _work(config: dict[str, Any]) -> Outcome | None:
    """What every worker runs. None: it has saved, and is to be started on another machine."""
    cell: Cell = config["cell"]
    context = ray.train.get_context()
    world = World(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())
    torch.set_float32_matmul_precision("high")
    storage: Location = config["storage"] / cell.key
    curve: list[Point] = []

    def report(points: list[Point]) -> None:
        curve.extend(points)
        if world.rank == 0:
            config["report"](points)

    def save(state: dict[str, Any]) -> None:
        # Every worker reports: it is a barrier. Only the first has something to store.
        metrics = {"tokens": state["step"] * cell.batch_tokens}
        if world.rank:
            ray.train.report(metrics)
            return
        stored = patiently(lambda: checkpoint.save(storage, state))
        ray.train.report(
            metrics,
            # Ray takes no filesystem but its own for the storage that it manages.
            checkpoint=ray.train.Checkpoint(stored.path, context.get_storage().storage_filesystem),
            # Ray's own upload gives up at once, and the worker with it.
            checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD,
        )

    asked = time.monotonic()

    def stop() -> bool:
        """Whether a worker's machine is about to be taken away, or the job is to end. All workers
        must ask as often; one alone, which is asked after every step, asks Ray now and then."""
        nonlocal asked
        if world.size == 1 and time.monotonic() - asked < NOTICE_SECONDS:
            return False
        asked = time.monotonic()
        return ray.train.get_preemption_info() is not None or config["leave"]()

    try:
        measured = train(
            cell,
            local_copy(config["data"]),
            world,
            prepare=lambda model: prepare(model, world.device),
            restore=lambda: checkpoint.restore(storage, cell.key),
            save=save,
            keep=lambda losses: write_losses(storage, losses) if world.rank == 0 else None,
            report=report,
            stop=stop,
            micro_tokens=config["micro_tokens"],
            checkpoint_seconds=config["checkpoint_seconds"],
        )
    except StoppedError:
        return None
    except DivergedError as error:
        # Not raised: trying again would diverge again.
        return Outcome("diverged", str(error), {}, curve, ran_on(world))
    return Outcome("finished", "", measured, curve, ran_on(world))


def _mend_snapshot(storage: Location, key: str) -> None:
    """Move a damaged list of checkpoints aside: Ray Train writes it in place and cannot read half.

    The cell does not need it: it finds its checkpoints by looking.
    """
    snapshot = storage / key / "checkpoint_manager_snapshot.json"
    if not snapshot.exists():
        return
    text = snapshot.read_text()
    try:
        json.loads(text)
    except ValueError:
        (storage / key / "checkpoint_manager_snapshot.damaged").write_text(text)
        snapshot.delete()
