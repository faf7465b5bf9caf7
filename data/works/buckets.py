"""Which pieces agree, by locality-sensitive hashing: a bucket holds the pieces that have one value
in one bin of their signatures.

In each bin a piece knows only the next piece of its bucket, and buckets are walked from piece to
piece. So a block of pieces can look for its neighbours in all bins by itself, and what it finds,
some megabytes, is sorted in memory. Time grows with the number of pieces; a piece takes four bytes
a bin, on disk.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data.store.scratch import scratch

NEIGHBOURS = 8
"""In a bucket each piece is paired with at most so many that follow it."""
BLOCK = 2**12
"""The number of pieces whose neighbours are looked for together."""
_COLUMNS = 32
"""The number of bins that are read together: a cache line of a signature."""


def columns(signatures: np.ndarray, bins: int) -> Iterator[np.ndarray]:
    """One after another, the first bins of all pieces: (pieces,) uint16 each."""
    for start in range(0, bins, _COLUMNS):
        yield from np.ascontiguousarray(signatures[:, start : min(start + _COLUMNS, bins)].T)


def chains(signatures: np.ndarray, bins: int) -> np.ndarray:
    """(bins, pieces) int32: the next piece in the bucket of each; -1 for the last and the empty."""
    found = scratch((bins, len(signatures)), np.int32)
    for chain, column in zip(found, columns(signatures, bins)):
        order = np.argsort(column, kind="stable").astype(np.int32)
        held = column[order]
        goes_on = (held[1:] == held[:-1]) & (held[1:] > 0)
        chain[order[-1]] = -1
        chain[order[:-1]] = np.where(goes_on, order[1:], -1)
    return found


def block_size(pieces: int) -> int:
    """So many that the pairs of a block with any piece can be numbered with 32 bits."""
    return min(BLOCK, 2**32 // pieces)


def agreeing_twice(
    chains: np.ndarray, root: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that are neighbours in two buckets, and are not linked yet: (pairs,) int64, twice.

    The first of each pair is of the block of `block_size` pieces from `start` on.
    """
    pieces = len(root)
    block = np.arange(start, min(start + block_size(pieces), pieces), dtype=np.int32)
    found = []
    for chain in chains:
        near, here = block, block
        for _ in range(NEIGHBOURS):
            here = chain[here]
            on = here >= 0
            near, here = near[on], here[on]
            if not len(here):
                break
            apart = root[near] != root[here]
            row, column = (near[apart] - start).view(np.uint32), here[apart].view(np.uint32)
            found.append(row * np.uint32(pieces) + column)
    pairs = np.concatenate([np.zeros(0, np.uint32), *found])
    pairs.sort()
    pairs = np.unique(pairs[1:][pairs[1:] == pairs[:-1]])
    left, right = np.divmod(pairs, np.uint32(pieces))
    return left.astype(np.int64) + start, right.astype(np.int64)
