"""Values that count as equal: sizes, token budgets and computes that differ only slightly."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SAME_SIZE = 0.005
"""Sizes within this fraction are one size."""
SAME_BUDGET = 0.02
"""Token budgets within this fraction are one budget."""
SAME_COMPUTE = 0.05
"""Runs whose FLOPs agree within this fraction may share an isoFLOP curve."""


def groups(values: ArrayLike, tolerance: float) -> NDArray[np.int64]:
    """(runs,) the group of each of `values` (runs,), all above 0, numbered from the smallest up.

    Groups split where the gap between neighbours exceeds `tolerance`, a fraction, rather than
    where a rounded number happens to change. No group spans more than `tolerance`: a chain of
    neighbours that does is divided into the fewest equal stretches that keep within it.
    """
    logs = np.log(np.asarray(values, dtype=float))
    # Slightly more than the tolerance, to allow for floating-point error.
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
