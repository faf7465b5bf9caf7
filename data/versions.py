"""Versions of one work: found by what they share, in any key, so that no split tears them apart.

Each track is reduced to its top line (the highest note of each onset, drums aside) and those to the
set of their runs of eight intervals. Track by track, because another accompaniment changes the top
line of the whole. Versions of a song in POP909 share most of their runs, different songs at most a
tenth; EXPERIMENTS.md has what each threshold tears and merges.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from datasketch import MinHash

from data.score import Score

GRAM = 8
PERMUTATIONS = 256
BANDS, ROWS = 128, 2
"""Pieces that agree in a band are compared: 95 in 100 of those at the threshold, 5 at .02."""
COMPARED = 2**14
"""Pairs that are compared at once."""
SIMILAR = 0.15
"""Jaccard similarity from which two pieces are versions of one work."""

_SCHEME = "affine32"
_PERMUTATIONS = MinHash(PERMUTATIONS, seed=1, scheme=_SCHEME).permutations


def grams(score: Score) -> np.ndarray:
    """The runs of `GRAM` intervals of the tracks' top lines, each as one number: (n,) uint64, no
    repeats. A line that is shorter is one run."""
    runs = lines(score)
    return np.unique(np.concatenate(runs)) if runs else np.zeros(1, np.uint64)


def lines(score: Score) -> list[np.ndarray]:
    """The runs of each track's top line, in their order: (n,) uint64 each."""
    pitched = ~score.is_drum
    track, onset, pitch = score.track[pitched], score.onset[pitched], score.pitch[pitched]
    # Notes are sorted by track, onset and pitch.
    top = np.append((np.diff(track) != 0) | (np.diff(onset) != 0), True)[: len(track)]
    track, pitch = track[top], pitch[top]
    bounds = [*np.flatnonzero(np.diff(track, prepend=-1)).tolist(), len(track)]
    return [_runs(pitch[start:stop]) for start, stop in pairwise(bounds)]


def _runs(pitch: np.ndarray) -> np.ndarray:
    """(n,) uint64 of a line of notes, at least one."""
    intervals = np.diff(pitch.astype(np.int16)).astype(np.int8)
    if len(intervals) < GRAM:
        # No music leaps by 127 semitones.
        intervals = np.append(intervals, np.full(GRAM - len(intervals), 127, np.int8))
    # Eight bytes from each byte on: sliding_window_view takes longer than the rest.
    return np.ndarray(len(intervals) - GRAM + 1, "<u8", intervals, strides=(1,)).copy()


def signature(score: Score) -> np.ndarray:
    """MinHash of `grams`, (PERMUTATIONS,) uint32: shares of equal entries estimate similarity."""
    sketch = MinHash(PERMUTATIONS, seed=1, permutations=_PERMUTATIONS, scheme=_SCHEME, hashfunc=int)
    # Fibonacci hashing (Knuth, TAOCP 3, 6.4): a SHA-1 each, the default, costs ten times the rest.
    mixed = (grams(score) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    sketch.update_batch(mixed.tolist())
    return sketch.hashvalues.astype(np.uint32)


def group(piece_ids: list[str], signatures: np.ndarray, works: list[str]) -> list[str]:
    """The `group_id` of each piece: the least piece_id of all that it is linked with.

    signatures: (pieces, PERMUTATIONS). works: the work of each piece, where it is known, else "";
    its pieces are linked, whatever they share. Links are transitive: a medley joins what it quotes.
    """
    parent = list(range(len(piece_ids)))
    first: dict[str, int] = {}
    for number, work in enumerate(works):
        if work:
            _join(parent, number, first.setdefault(work, number))
    for left, right in _alike(signatures, parent):
        _join(parent, left, right)
    roots = [_root(parent, number) for number in range(len(parent))]
    least: dict[int, str] = {}
    for number, piece_id in enumerate(piece_ids):
        least[roots[number]] = min(piece_id, least.get(roots[number], piece_id))
    return [least[roots[number]] for number in range(len(piece_ids))]


def _alike(signatures: np.ndarray, parent: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs that agree in a band and are similar, but for those that are joined already.

    Locality-sensitive hashing with sorted columns in place of tables: what a band holds together
    stands side by side, and nothing is kept from one band to the next.
    """
    for band in range(BANDS):
        rows = np.ascontiguousarray(signatures[:, band * ROWS : (band + 1) * ROWS])
        key = rows.view(f"u{rows.itemsize * ROWS}").ravel()
        order = np.argsort(key, kind="stable")
        key = key[order]
        root = np.array([_root(parent, number) for number in range(len(parent))])[order]
        left = np.arange(len(key))
        distance = 0
        while len(left):
            distance += 1
            left = left[left + distance < len(key)]
            left = left[key[left] == key[left + distance]]
            apart = left[root[left] != root[left + distance]]
            for start in range(0, len(apart), COMPARED):
                near = order[apart[start : start + COMPARED]]
                far = order[apart[start : start + COMPARED] + distance]
                same = (signatures[near] == signatures[far]).mean(axis=1) >= SIMILAR
                yield from zip(near[same].tolist(), far[same].tolist())


def _root(parent: list[int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


def _join(parent: list[int], left: int, right: int) -> None:
    parent[_root(parent, left)] = _root(parent, right)
