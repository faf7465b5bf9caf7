"""Optimizers with rates that follow width and depth, and schedules that end where the cell ends."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from trainers.groups import members
from trainers.muon import MuonAndAdamW

BASE_WIDTH = 64
"""The width at which a cell's `lr` is the rate of its matrices."""

BASE_DEPTH = 2
"""The number of layers at which it is that rate."""

DECAY_SHARE = 0.2
"""The share of a cell over which `wsd` decays (Hägele et al. 2024, section 3.2: 10 to 20 %)."""


OPTIMIZERS = ("adamw", "muon")
"""AdamW for all of a model; or Muon for its hidden matrices and AdamW for the rest."""

MUON_LR = 0.025
"""Muon's peak rate at depth 2 where a cell's `lr` is its architecture's own: one for all of them,
by the sweep in docs/experiments/trainers.md."""

BETAS = (0.9, 0.95)
"""AdamW's decay rates of the first and second moment."""


@dataclass(frozen=True)
class Rates:
    """Peak learning rates of the parts of a model."""

    hidden: float
    """Matrices between embedding and head."""
    head: float
    rest: float
    """Embeddings, gains and biases. A head tied to the embedding counts as an embedding."""


def transferred(lr: float, width: int, depth: int, muon_lr: float | None = None) -> Rates:
    """The rates at this width and depth that correspond to `lr` at BASE_WIDTH and BASE_DEPTH.

    muon_lr: the rate of hidden matrices there if Muon trains them.

    Width follows muP's rule for Adam (Yang et al. 2022, table 3): the rate of a matrix whose input
    grows with the width is inversely proportional to it. Depth follows Depth-muP (Yang et al. 2023,
    table 1): the branches of a residual model, and their rates, shrink with the square root of the
    number of layers. What Muon adds to a matrix has a norm that does not depend on the width, so
    neither does its rate (Bernstein 2025).
    """
    head = lr * BASE_WIDTH / width
    hidden = head if muon_lr is None else muon_lr
    return Rates(hidden=hidden * math.sqrt(BASE_DEPTH / depth), head=head, rest=lr)


def flat(lr: float) -> Rates:
    """One rate for everything, as in many published studies."""
    return Rates(lr, lr, lr)


def optimizer(
    model: nn.Module, rates: Rates, weight_decay: float, kind: str = "adamw"
) -> torch.optim.AdamW | MuonAndAdamW:
    """The optimizer, with weight decay on hidden matrices and the head only.

    model: with `groups`, by which `trainers.groups.members` finds them. kind: one of OPTIMIZERS.
    """
    found = members(model)
    matrices = found.pop("hidden") if kind == "muon" else []
    groups = [
        {
            "params": [each.weight for each in there],
            "lr": getattr(rates, group),
            "base_lr": getattr(rates, group),
            "weight_decay": 0.0 if group == "rest" else weight_decay,
        }
        for group, there in found.items()
        if there
    ]
    adamw = torch.optim.AdamW(groups, betas=BETAS, eps=1e-8, fused=True)
    if not matrices:
        return adamw
    return MuonAndAdamW(matrices, adamw, lr=rates.hidden, weight_decay=weight_decay)


def moments(model: nn.Module, kind: str) -> int:
    """Numbers that the optimizer keeps: AdamW two of each parameter, Muon one of each of its own.

    model, kind: as for `optimizer`.
    """
    found = 2 * sum(parameter.numel() for parameter in model.parameters())
    if kind == "muon":
        found -= sum(each.weight.numel() for each in members(model)["hidden"])
    return found


def warmup_tokens(n_params: int, tokens: int) -> int:
    """One token per parameter (Porian et al. 2024, section 3.3), but 2 to 10 % of the cell."""
    return round(min(max(n_params, 0.02 * tokens), 0.1 * tokens))


def trunk_warmup_tokens(n_params: int, batch_tokens: int) -> int:
    """One token per parameter, but at least 2 / (1 - beta2) batches, the time that AdamW's second
    moment takes to settle (Ma and Yarats 2021).

    It is the same for every budget, so cells share every step before the first of them decays.
    """
    return max(n_params, round(2 / (1 - BETAS[1])) * batch_tokens)


def cosine(seen: float, tokens: float, warmup: float) -> float:
    """The share of the peak rate after `seen` tokens: a linear rise, then a half-cosine to zero."""
    if seen < warmup:
        return seen / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (seen - warmup) / (tokens - warmup))))


def wsd(seen: float, tokens: float, warmup: float) -> float:
    """A linear rise, the peak, and a fall to zero as 1 - sqrt over the last DECAY_SHARE of the cell
    (Hu et al. 2024; the fall is that of Hägele et al. 2024, equation 1).

    Before the decay it does not depend on `tokens`. In a very short cell the warmup and the decay
    overlap.
    """
    return min(1.0, seen / warmup) * (1 - math.sqrt(decayed(seen, tokens)))


def decayed(seen: float, tokens: float) -> float:
    """The fraction of the decay of `wsd` that is over after `seen` tokens, from 0 to 1."""
    return min(1.0, max(0.0, (seen / tokens - (1 - DECAY_SHARE)) / DECAY_SHARE))


def steps_before_decay(steps: int, batch_tokens: int) -> int:
    """The number of steps of a `wsd` cell before its decay, when the rate is that of any budget."""

    def decays(step: int) -> bool:
        return decayed((step + 0.5) * batch_tokens, steps * batch_tokens) > 0

    return bisect_left(range(steps), True, key=decays)


def constant(seen: float, tokens: float, warmup: float) -> float:
    """The peak rate throughout, without warmup: the recipe of many published studies."""
    return 1.0


SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "cosine": cosine,
    "wsd": wsd,
    "constant": constant,
}


def set_rate(optimizer: torch.optim.AdamW | MuonAndAdamW, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * share
