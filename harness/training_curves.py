"""Sweeps with training curves of known shape, and a size that trained at too high a rate."""

from __future__ import annotations

import numpy as np
import pandas as pd

SMALLEST, SPAN = 3e4, 100.0
"""Parameters of the smallest size, and the ratio of the largest to it."""
TOKENS_SEEN = 30
"""Per parameter."""


def training_curves(
    sizes: int,
    seeds: int,
    noise: float,
    point: float,
    rng: np.random.Generator,
    bad: int | None = None,
    excess: float = 0.02,
    falls: float = 0.0,
) -> pd.DataFrame:
    """Runs whose training curves have the same shape.

    At the smallest size points scatter by `point` and runs by `noise`, both relative; at larger
    sizes both are smaller, by N^-falls. From a third of its training on, size number `bad` drifts
    up to `excess` above the others.
    """
    t = np.arange(1, 101) / 100
    course = t**-0.35 * (1 - 0.25 * t) / 0.75
    rows = []
    for k, n in enumerate(np.geomspace(SMALLEST, SPAN * SMALLEST, sizes)):
        less = (n / SMALLEST) ** -falls
        for seed in range(seeds):
            loss = (8 * n**-0.3 * course + 1.2) * np.exp(less * noise * rng.standard_normal())
            if k == bad:
                loss = loss * (1 + excess * np.clip((t - 0.3) / 0.5, 0, 1))
            recorded = loss * np.exp(less * point * rng.standard_normal(len(t)))
            rows.append(
                {
                    "n_params": n,
                    "tokens": TOKENS_SEEN * n,
                    "seed": seed,
                    "val_loss": loss[-1],
                    "train_curve": list(zip(t * TOKENS_SEEN * n, recorded)),
                }
            )
    return pd.DataFrame(rows)
