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
    neighbours that does is parted at its widest gaps.
    """
    logs = np.log(np.asarray(values, dtype=float))
    order = np.argsort(logs, kind="stable")
    found = np.empty(len(logs), dtype=np.int64)
    parts = _parts(logs[order], np.log1p(tolerance))
    found[order] = np.repeat(np.arange(len(parts)), parts)
    return found


def _parts(ascending: NDArray[np.float64], width: float) -> list[int]:
    """How many values each group holds."""
    if not len(ascending):
        return []
    # A hair more than the width: what a product of floats takes off.
    if ascending[-1] - ascending[0] <= width * (1 + 1e-9):
        return [len(ascending)]
    gaps = np.diff(ascending)
    wide = np.flatnonzero(gaps > width * (1 + 1e-9))
    cuts = wide if len(wide) else np.flatnonzero(gaps == gaps.max())[:1]
    pieces = np.split(ascending, cuts + 1)
    return [count for piece in pieces for count in _parts(piece, width)]
