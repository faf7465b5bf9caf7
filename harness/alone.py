"""One cell trained in this process, on the CPU, with nobody listening."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from trainers.cell import Cell, Placement
from trainers.gradients import World
from trainers.loop import train
from trainers.losses import Losses


def train_alone(
    cell: Cell,
    data: Path,
    micro_tokens: int = Placement.micro_tokens,
    keep: Callable[[dict[str, Losses]], None] = lambda losses: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """What the cell measured; nothing is saved. Arguments as in `trainers.loop.train`."""
    return train(
        cell,
        data,
        World(0, 1, torch.device("cpu")),
        prepare=lambda model: model,
        restore=lambda: None,
        save=lambda state: None,
        keep=keep,
        report=lambda points: None,
        stop=stop,
        micro_tokens=micro_tokens,
        checkpoint_seconds=1e9,
    )
