"""Arrays too large for memory: on this machine's disk, gone when nothing refers to them."""

from __future__ import annotations

import os
import tempfile
from math import prod

import numpy as np


def scratch(shape: tuple[int, ...], kind: type[np.generic]) -> np.ndarray:
    """An array of zeros, mapped from a file without a name. Raises OSError for a full disk."""
    with tempfile.TemporaryFile() as file:
        size = max(1, prod(shape) * np.dtype(kind).itemsize)
        file.truncate(size)
        if hasattr(os, "posix_fallocate"):
            # A disk that is full while a map is written to kills the process without a word.
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, kind, "r+", shape=shape)
