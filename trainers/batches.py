"""Training batches: windows of the packed token stream, in an order fixed by seed and step alone.

Pieces lie one after another in the stream and windows cut across them, so no token is padding and
none is cropped. The prediction of a piece's first token from the piece before it is not scored.
Batch `step` is the same for every architecture, world size and micro-batch, and can be had without
drawing the ones before it, which is what makes a resumed cell equal to an undisturbed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

IGNORED = -100
"""A target that is not scored (the default `ignore_index` of PyTorch's cross-entropy)."""


@dataclass(frozen=True)
class Batches:
    tokens: np.ndarray
    """(n,) uint16, usually a memory map."""
    bos_id: int
    context: int
    windows_per_batch: int
    seed: int

    def __post_init__(self) -> None:
        if self.windows_per_epoch < 1:
            raise ValueError(
                f"context {self.context} is longer than the training data ({len(self.tokens):,} "
                "tokens); take a shorter context or more data"
            )

    @property
    def windows_per_epoch(self) -> int:
        # One token more than the context is read, and each epoch starts up to a context later.
        return (len(self.tokens) - 1) // self.context - 1

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of a global batch, each (windows_per_batch, context) int64."""
        first = step * self.windows_per_batch
        starts = [self._start(index) for index in range(first, first + self.windows_per_batch)]
        windows = np.stack([self.tokens[start : start + self.context + 1] for start in starts])
        windows = windows.astype(np.int64)
        inputs, targets = windows[:, :-1], windows[:, 1:].copy()
        targets[targets == self.bos_id] = IGNORED
        return inputs, targets

    def _start(self, index: int) -> int:
        """Where window `index` of the endless sequence of epochs begins in the stream."""
        epoch, position = divmod(index, self.windows_per_epoch)
        offset, order = _epoch_order(self.seed, epoch, self.windows_per_epoch, self.context)
        return offset + int(order[position]) * self.context


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, windows: int, context: int) -> tuple[int, np.ndarray]:
    """An epoch's shift of the window grid and its permutation of the windows."""
    generator = np.random.default_rng([seed, epoch])
    return int(generator.integers(context)), generator.permutation(windows)
