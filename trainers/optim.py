"""AdamW with rates that follow the width, and schedules that end where the cell ends."""

from __future__ import annotations

import math

import torch
from torch import nn

BASE_WIDTH = 64
"""The width at which a cell's `lr` is the rate of its matrices."""


def optimizer(model: nn.Module, lr: float, width: int, weight_decay: float) -> torch.optim.AdamW:
    """Hidden matrices and the head take lr * BASE_WIDTH / width, all else lr; matrices decay.

    The rule of muP for Adam (Yang et al. 2022, table 3): what is multiplied with a vector that
    grows with the width must move less as it grows, embeddings and gains must not.
    """
    hidden: list[nn.Parameter] = []
    other: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() == 2 and not name.startswith("embedding")
        (hidden if is_matrix else other).append(parameter)
    scaled = lr * BASE_WIDTH / width
    groups = [
        {"params": hidden, "lr": scaled, "base_lr": scaled, "weight_decay": weight_decay},
        {"params": other, "lr": lr, "base_lr": lr, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8, fused=True)


def warmup_tokens(n_params: int, tokens: int) -> int:
    """One token a parameter (Porian et al. 2024, section 3.3), within 2 % and 10 % of the cell."""
    return round(min(max(n_params, 0.02 * tokens), 0.1 * tokens))


def cosine(seen: float, tokens: float, warmup: float) -> float:
    """The share of the peak rate after `seen` tokens: a linear rise, then half a cosine to zero."""
    if seen < warmup:
        return seen / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (seen - warmup) / (tokens - warmup))))


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * share
