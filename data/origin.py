"""Where a token of a held-out piece comes from: the piece so far, the training split, or neither.

The context of a token is the `CONTEXT` tokens before it in its piece. Where the piece begins there
are fewer, and that it begins there is part of the context.

- repeat: its context stood earlier in the piece, and what followed there, the last time, follows.
- broken: its context stood earlier in the piece, and something else follows.
- shared: neither, and its context stands, with the same token after it, in the training split.
- new: none of these.

These are classes of the data alone: every model and every baseline is measured on the same ones.
Tokens are compared, so a passage that returns in another key is no repeat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from data.store.flat import Split, open_split
from data.store.location import Location
from data.store.manifest import read_manifest

ORIGINS = ("repeat", "broken", "shared", "new")
CONTEXT = 8
"""Tokens, about a bar of a folk tune. docs/experiments/trainers.md has the classes at others: with
fewer a context recurs by chance, with more a repeat is noticed late."""
BLOCK_TOKENS = 2**20
"""Of the training split at a time: memory does not grow with it."""
BEFORE = 0
"""What stands before a piece. Tokens are counted from 1."""


def kept_origins(folder: Path, name: str) -> np.ndarray:
    """`origins` of a split of a data folder, worked out once and kept beside the data."""
    split = open_split(folder, name)
    kept = Location.of(folder / f"origin-{name}-{_digest(folder)}.npy")
    with suppress(OSError, ValueError):
        found = np.load(str(kept))
        known = found.dtype == np.uint8 and found.max(initial=0) < len(ORIGINS)
        if known and found.shape == split.tokens.shape:
            return found
    found = origins(split, open_split(folder, "train"))
    # The data may be another's, to be read only.
    with suppress(OSError), kept.writing() as path, path.open("wb") as file:
        np.save(file, found)
    return found


def _digest(folder: Path) -> str:
    """Of the data and of the code that tells classes."""
    code = Path(__file__).read_bytes()
    return hashlib.sha256(read_manifest(folder).fingerprint.encode() + code).hexdigest()[:16]


def origins(split: Split, train: Split, context: int = CONTEXT) -> np.ndarray:
    """The class of each token of `split`, (n,) uint8: an index into `ORIGINS`.

    The first token of a piece has one as well, although it is not scored.
    """
    windows = _windows(split.tokens, split.starts, context + 1)
    contexts, whole = _Distinct.of(windows[:, :-1]), _Distinct.of(windows)
    last = _last(contexts.number, split.starts)
    stood = last >= 0
    repeats = stood & (split.tokens[last] == split.tokens)
    shared = _found(train, whole)[whole.number]
    return np.select([repeats, stood, shared], [0, 1, 2], 3).astype(np.uint8)


def _windows(tokens: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """Each token with those before it in its piece, (n, width) uint32, the token last."""
    lengths = np.diff(starts)
    room = (width - 1) * np.repeat(np.arange(1, len(lengths) + 1), lengths)
    place = np.arange(len(tokens)) + room
    padded = np.full(len(tokens) + (width - 1) * len(lengths), BEFORE, np.uint32)
    padded[place] = tokens.astype(np.uint32) + 1
    return np.lib.stride_tricks.sliding_window_view(padded, width)[place - width + 1]


@dataclass(frozen=True)
class _Distinct:
    """The distinct windows of a split, by a hash that differs between any two of them."""

    windows: np.ndarray
    """(m, width), in the order of their hashes."""
    hashes: np.ndarray
    """(m,) uint64, rising."""
    multiplier: np.uint64
    number: np.ndarray
    """(n,) the index in `windows` of each window of the split."""

    @classmethod
    def of(cls, windows: np.ndarray) -> _Distinct:
        for multiplier in _multipliers():
            found = _hashes(windows, multiplier)
            hashes, first, number = np.unique(found, return_index=True, return_inverse=True)
            if (windows[first][number] == windows).all():
                return cls(windows[first], hashes, multiplier, number)
        raise AssertionError("there are multipliers without end")


def _multipliers() -> Iterator[np.uint64]:
    generator = np.random.default_rng(0)
    while True:
        yield generator.integers(2**63, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def _hashes(windows: np.ndarray, multiplier: np.uint64) -> np.ndarray:
    """(n,) uint64."""
    found = np.zeros(len(windows), np.uint64)
    for column in windows.T:
        found = (found + column) * multiplier
    return found


def _last(number: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The index of the last token before each in its piece that has the same number; -1 if none."""
    piece = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    # Stable: equal ones stay in the order of the piece.
    order = np.lexsort((number, piece))
    same = (np.diff(number[order]) == 0) & (np.diff(piece[order]) == 0)
    last = np.full(len(number), -1)
    last[order[1:][same]] = order[:-1][same]
    return last


def _found(train: Split, distinct: _Distinct) -> np.ndarray:
    """(m,) bool: which of the distinct windows stand in a piece of `train`."""
    found = np.zeros(len(distinct.hashes), bool)
    # Most of what cannot be one of them is told by a few bits.
    shift = np.uint64(40)
    possible = np.zeros(2**24, bool)
    possible[distinct.hashes >> shift] = True
    first = np.searchsorted(train.starts[:-1], np.arange(0, train.starts[-1], BLOCK_TOKENS))
    for begin, stop in pairwise(np.unique([*first, len(train.starts) - 1]).tolist()):
        starts = train.starts[begin : stop + 1]
        tokens = train.tokens[starts[0] : starts[-1]]
        windows = _windows(tokens, starts, distinct.windows.shape[1])
        hashes = _hashes(windows, distinct.multiplier)
        at = np.flatnonzero(possible[hashes >> shift])
        place = np.searchsorted(distinct.hashes[:-1], hashes[at])
        left = (distinct.hashes[place] == hashes[at]) & ~found[place]
        at, place = at[left], place[left]
        found[place[(windows[at] == distinct.windows[place]).all(axis=1)]] = True
    return found
