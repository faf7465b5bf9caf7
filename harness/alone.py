"""One cell trained in this process, by one worker or as one of several, with nobody else about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from trainers.cell import Cell, Placement
from trainers.chosen_kernels import Kernels
from trainers.curve import Point
from trainers.gradients import World
from trainers.kernels import Work, prepared
from trainers.loop import train
from trainers.losses import Losses

ALONE = World(0, 1, torch.device("cpu"))


def train_alone(
    cell: Cell,
    data: Path,
    micro_tokens: int = Placement.micro_tokens,
    keep: Callable[[dict[str, Losses]], None] = lambda losses: None,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
    state: dict[str, Any] | None = None,
    save: Callable[[dict[str, Any]], None] = lambda state: None,
    report: Callable[[list[Point]], None] = lambda points: None,
    kernels: Kernels | None = None,
) -> dict[str, float]:
    """What the cell measured, with the kernels that a sweep would choose.

    state: what to go on from, one that `save` was given. It is given one when the cell ends or
    stops. kernels: to take instead of choosing. The other arguments are those of
    `trainers.loop.train`.
    """
    work = Work(cell, world, Placement.compile, cell.steps)
    given = asdict(kernels) if kernels else None
    return train(
        cell,
        data,
        world,
        prepare=lambda model, before, at_once: prepared(model, before or given, at_once, work),
        restore=lambda: state,
        save=save,
        keep=keep,
        report=report,
        stop=stop,
        micro_tokens=micro_tokens,
        checkpoint_seconds=1e9,
    )
