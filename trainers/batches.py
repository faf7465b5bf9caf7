"""Training batches: windows of the packed token stream, in an order fixed by seed and step alone.

Pieces lie one after another in the stream and windows cut across them, so no token is padding and
none is cropped. The prediction of a piece's first token from the piece before it is not scored.
If state and attention restart with each piece, a window is cut into one row per piece: the tokens
are the same, and models need no special case.

Batch `step` is the same for every architecture, world size and micro-batch, and can be computed
without drawing the ones before it, so that a resumed cell equals an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

IGNORED = -100
"""A target that is not scored (the default `ignore_index` of PyTorch's cross-entropy)."""


def in_batches(tokens: float, batch_tokens: int) -> int:
    """The nearest number of tokens in whole batches, at least one."""
    return max(1, round(tokens / batch_tokens)) * batch_tokens


@dataclass(frozen=True)
class Batches:
    tokens: np.ndarray
    """(n,) uint16, usually a memory map."""
    bos_id: int
    """Begins each piece. As a target it is not scored."""
    context: int
    windows_per_batch: int
    seed: int
    restart: bool = False
    """Begin a row with each piece."""

    def __post_init__(self) -> None:
        if self.windows_per_epoch < 1:
            raise ValueError(
                f"context {self.context} is longer than the training data ({len(self.tokens):,} "
                "tokens); take a shorter context or more data"
            )

    @property
    def windows_per_epoch(self) -> int:
        # A window needs one token more than the context, and an epoch's offset is up to a context.
        return (len(self.tokens) - 1) // self.context - 1

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of a global batch, each (windows_per_batch, context) uint16; with
        `restart` (rows, at most context), longest row first, the padding not scored."""
        first = step * self.windows_per_batch
        starts = [self._start(index) for index in range(first, first + self.windows_per_batch)]
        windows = np.stack([self.tokens[start : start + self.context + 1] for start in starts])
        inputs, targets = windows[:, :-1], windows[:, 1:]
        return _cut(inputs, targets, self.bos_id) if self.restart else (inputs, targets)

    def scored(self, targets: np.ndarray) -> np.ndarray:
        """Which targets of a batch are scored."""
        return targets != self.bos_id

    def share(
        self, batch: tuple[np.ndarray, np.ndarray], rank: int, workers: int, micro_tokens: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """A worker's part of a batch, in micro-batches of at most `micro_tokens` (or one row).

        A micro-batch holds rows of at least half the length of its longest, cut to that length.
        """
        inputs, targets = (part[rank::workers] for part in batch)
        lengths = np.full(len(inputs), self.context)
        if self.restart:
            lengths = self.scored(targets).sum(axis=1)
        first = 0
        while first < len(inputs):
            time = int(lengths[first])
            alike = int((lengths[first:] >= time / 2).sum())
            rows = slice(first, first + min(max(1, micro_tokens // time), alike))
            yield inputs[rows, :time], targets[rows, :time]
            first = rows.stop

    def _start(self, index: int) -> int:
        """Where window `index` of the endless sequence of epochs begins in the stream."""
        epoch, position = divmod(index, self.windows_per_epoch)
        offset, order = _epoch_order(self.seed, epoch, self.windows_per_epoch, self.context)
        return offset + int(order[position]) * self.context


def _cut(inputs: np.ndarray, targets: np.ndarray, bos_id: int) -> tuple[np.ndarray, np.ndarray]:
    """A row for each stretch of each window that lies in one piece, if any of it is scored."""
    begins = inputs == bos_id
    begins[:, 0] = True
    starts = np.flatnonzero(begins)
    # A stretch is scored throughout, except for a last target that opens the next piece.
    lengths = np.add.reduceat((targets != bos_id).ravel(), starts)
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    starts, lengths = starts[order], lengths[order]
    inside = np.arange(lengths[0]) < lengths[:, None]
    rows = [np.full(inside.shape, padding, inputs.dtype) for padding in (0, bos_id)]
    for row, source in zip(rows, (inputs, targets)):
        row[inside] = np.concatenate([source.flat[a : a + n] for a, n in zip(starts, lengths)])
    return rows[0], rows[1]


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, windows: int, context: int) -> tuple[int, np.ndarray]:
    """An epoch's shift of the window grid and its permutation of the windows."""
    generator = np.random.default_rng([seed, epoch])
    return int(generator.integers(context)), generator.permutation(windows)
