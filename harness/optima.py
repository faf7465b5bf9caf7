"""Where the loss is least by rate and one other setting, as sizes and budgets grow.

A surface is fitted to losses; `benchmarks.training_budgets` explains it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

NEAR = 0.06
"""Nats above the best mean of its size and budget: beyond, the surface is no parabola."""
DRAWS = 400
MIDDLE = {"size": 5e4, "tokens": 8e5}


@dataclass(frozen=True)
class Point:
    """The mean loss of the seeds that were trained alike."""

    size: float
    tokens: float
    rate: float
    """A multiple of the rule's."""
    other: float
    """The batch, or the timescale of weight decay, in tokens."""
    loss: float


def near_best(points: list[Point]) -> list[Point]:
    best: dict[tuple[float, float], float] = {}
    for each in points:
        key = (each.size, each.tokens)
        best[key] = min(best.get(key, math.inf), each.loss)
    return [each for each in points if each.loss < best[each.size, each.tokens] + NEAR]


NAMES = ("rate", "rate by N", "rate by D", "rate by other", "other", "other by N", "other by D")


def fit(points: list[Point], losses: np.ndarray, middle: float) -> tuple[np.ndarray, np.ndarray]:
    """(the numbers of `NAMES`, the losses that they give).

    losses: (points,) nats per token, in the place of the points' own. middle: the batch or the
    timescale at which exponents are no part of the optimum.
    """
    columns = [
        np.log([each.size / MIDDLE["size"] for each in points]),
        np.log([each.tokens / MIDDLE["tokens"] for each in points]),
        np.log([each.rate for each in points]),
        np.log([each.other / middle for each in points]),
    ]
    by_size, by_tokens, rate, other = columns
    groups, group = np.unique(
        [(each.size, each.tokens) for each in points], axis=0, return_inverse=True
    )

    def modelled(x: np.ndarray) -> np.ndarray:
        level, (k, h), (a, n, d, b, o, m, e) = np.split(x, [len(groups), len(groups) + 2])
        off = rate - (a + n * by_size + d * by_tokens + b * other)
        off_other = other - (o + m * by_size + e * by_tokens)
        # Curvatures as logarithms: both are minima.
        return level[group] + math.exp(k) * off**2 + math.exp(h) * off_other**2

    start = np.concatenate(
        [
            [losses[group == number].min() for number in range(len(groups))],
            [math.log(0.02)] * 2,
            np.zeros(7),
        ]
    )
    # Where the other has no minimum in sight, it may not run away.
    wide = np.concatenate([np.full(len(groups), 10.0), [10.0] * 2, [5.0] + [3.0] * 3 + [5.0] * 3])

    def left(x: np.ndarray) -> np.ndarray:
        return modelled(x) - losses

    found = least_squares(left, start, bounds=(-wide, wide))
    return found.x[-7:], modelled(found.x)


def intervals(points: list[Point], middle: float) -> tuple[np.ndarray, np.ndarray, float]:
    """(the numbers of `NAMES`, (2, 7) their 2.5 and 97.5 % points, the residuals' deviation)."""
    losses = np.array([each.loss for each in points])
    best, fitted = fit(points, losses, middle)
    left = losses - fitted
    freedom = len(points) - len({(each.size, each.tokens) for each in points}) - 9
    left *= math.sqrt(len(points) / max(freedom, 1))
    chance = np.random.default_rng(0)
    drawn = [fit(points, fitted + chance.choice(left, len(left)), middle)[0] for _ in range(DRAWS)]
    return best, np.percentile(drawn, [2.5, 97.5], axis=0), float(left.std())
