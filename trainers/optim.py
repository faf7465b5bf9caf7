"""AdamW with rates that follow width and depth, and schedules that end where the cell ends."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

BASE_WIDTH = 64
"""The width at which a cell's `lr` is the rate of its matrices."""

BASE_DEPTH = 2
"""The number of layers at which it is."""

DECAY_SHARE = 0.2
"""The part of a cell in which `wsd` decays (Hägele et al. 2024, section 3.2: 10 to 20 %)."""


BETAS = (0.9, 0.95)
"""Of AdamW: what its moments keep from step to step."""


@dataclass(frozen=True)
class Rates:
    """Peak rates of what a model is made of."""

    hidden: float
    """Matrices between embedding and head, kernels of convolutions among them."""
    head: float
    rest: float
    """Embeddings, gains and biases. A head that is tied to the embedding is an embedding."""


def transferred(lr: float, width: int, depth: int) -> Rates:
    """What corresponds to `lr` at BASE_WIDTH and BASE_DEPTH.

    Width by muP's rule for Adam (Yang et al. 2022, table 3): what is multiplied with a vector that
    grows with the width must move less as it grows. Depth by Depth-muP's (Yang et al. 2023,
    table 1): branches of a residual model, and their rates, shrink with the root of the layers.
    """
    head = lr * BASE_WIDTH / width
    return Rates(hidden=head * math.sqrt(BASE_DEPTH / depth), head=head, rest=lr)


def flat(lr: float) -> Rates:
    """One rate for everything, as in many published studies."""
    return Rates(lr, lr, lr)


def optimizer(model: nn.Module, rates: Rates, weight_decay: float) -> torch.optim.AdamW:
    """Hidden matrices and the head decay, all else does not.

    A convolution's kernel (outputs, inputs, taps) is a matrix too: what it takes in grows with the
    width, and the taps are the same at every width.
    """
    parts: dict[str, list[nn.Parameter]] = {"hidden": [], "head": [], "rest": []}
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() >= 2 and not name.startswith("embedding")
        part = "rest" if not is_matrix else "head" if name.startswith("head") else "hidden"
        parts[part].append(parameter)
    groups = [
        {
            "params": parameters,
            "lr": getattr(rates, part),
            "base_lr": getattr(rates, part),
            "weight_decay": 0.0 if part == "rest" else weight_decay,
        }
        for part, parameters in parts.items()
        if parameters
    ]
    return torch.optim.AdamW(groups, betas=BETAS, eps=1e-8, fused=True)


def warmup_tokens(n_params: int, tokens: int) -> int:
    """One token a parameter (Porian et al. 2024, section 3.3), within 2 % and 10 % of the cell."""
    return round(min(max(n_params, 0.02 * tokens), 0.1 * tokens))


def trunk_warmup_tokens(n_params: int, batch_tokens: int) -> int:
    """One token a parameter, and no fewer than 2 / (1 - beta2) batches, which AdamW's second moment
    takes to settle (Ma and Yarats 2021).

    Cells of every budget share it, and so all that comes before the first of them decays.
    """
    return max(n_params, round(2 / (1 - BETAS[1])) * batch_tokens)


def cosine(seen: float, tokens: float, warmup: float) -> float:
    """The share of the peak rate after `seen` tokens: a linear rise, then half a cosine to zero."""
    if seen < warmup:
        return seen / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (seen - warmup) / (tokens - warmup))))


def wsd(seen: float, tokens: float, warmup: float) -> float:
    """A linear rise, the peak, and a fall to zero as 1 - sqrt over the last DECAY_SHARE of the cell
    (Hu et al. 2024; the fall is that of Hägele et al. 2024, equation 1).

    Until it falls it does not depend on `tokens`; a cell that is too short still rises as it falls.
    """
    return min(1.0, seen / warmup) * (1 - math.sqrt(decayed(seen, tokens)))


def decayed(seen: float, tokens: float) -> float:
    """How much of the decay of `wsd` lies behind after `seen` tokens: 0 before it, 1 at its end."""
    return min(1.0, max(0.0, (seen / tokens - (1 - DECAY_SHARE)) / DECAY_SHARE))


def steps_before_decay(steps: int, batch_tokens: int) -> int:
    """How many of the steps of a `wsd` cell have the rate that they have under every budget."""

    def decays(step: int) -> bool:
        return decayed((step + 0.5) * batch_tokens, steps * batch_tokens) > 0

    return bisect_left(range(steps), True, key=decays)


def constant(seen: float, tokens: float, warmup: float) -> float:
    """The peak from first to last, without a rise: the recipe of many published studies."""
    return 1.0


SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "cosine": cosine,
    "wsd": wsd,
    "constant": constant,
}


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * share
