"""Results as the values that JSON knows."""

import math
from typing import Any

import numpy as np

from fitting.law.intervals import Interval


def plain(value: Any) -> Any:
    """The value as JSON writes it, all the way down.

    An interval becomes [low, high], an array a list, and a number that is not finite None.
    """
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, Interval):
        return [plain(value.low), plain(value.high)]
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
