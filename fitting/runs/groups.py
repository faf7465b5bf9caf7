"""Values that count as one: sizes, token budgets and computes that only just differ."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SAME_SIZE = 0.005
"""Sizes within this fraction are one size."""
SAME_BUDGET = 0.02
"""Token budgets within this fraction are one budget."""
SAME_COMPUTE = 0.05
"""Runs whose FLOPs agree within this fraction may share an isoFLOP curve."""


def groups(values: ArrayLike, tolerance: float) -> NDArray[np.int64]:
    """Number the groups of `values` (runs,), all above 0, from the smallest up: (runs,).

    Values part where the gap between neighbours exceeds `tolerance`, a fraction, and not where a
    rounded number happens to change. No group spans more than `tolerance` in all: a chain of
    neighbours that does is divided into as few equal stretches as keep to it.
    """
    logs = np.log(np.asarray(values, dtype=float))
    # A hair more than the tolerance: what a product of floats takes off.
    width = np.log1p(tolerance) * (1 + 1e-9)
    order = np.argsort(logs, kind="stable")
    chains = np.split(logs[order], np.flatnonzero(np.diff(logs[order]) > width) + 1)
    stretches = []
    for chain in chains:
        span = np.ptp(chain) if len(chain) else 0.0
        count = max(1, int(np.ceil(span / width)))
        stretches.append(np.minimum((chain - chain[:1]) * count / (span or 1.0), count - 1) // 1)
    # Each chain begins a group, and so does each stretch of one that holds a value.
    begins = [np.diff(stretch, prepend=-1.0) > 0 for stretch in stretches]
    found = np.empty(len(logs), dtype=np.int64)
    found[order] = np.cumsum(np.concatenate(begins)) - 1
    return found
