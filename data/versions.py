"""Versions of one work: found by what they share, in any key, so that no split tears them apart.

Each track is reduced to its top line (the highest note of each onset, drums aside) and those to the
set of their runs of eight intervals. Track by track, because another accompaniment changes the top
line of the whole. Versions of a song in POP909 share most of their runs, different songs at most a
tenth; EXPERIMENTS.md has what each threshold tears and merges.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from datasketch import MinHash, MinHashLSH

from data.score import Score

GRAM = 8
PERMUTATIONS = 256
BANDS, ROWS = 128, 2
"""Pieces that agree in a band are compared: 95 in 100 of those at the threshold, 5 at .02."""
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
    return [_runs(score.onset[track], score.pitch[track]) for track in _tracks(score, pitched)]


def _tracks(score: Score, chosen: np.ndarray) -> list[np.ndarray]:
    return [chosen & (score.track == number) for number in np.unique(score.track[chosen])]


def _runs(onset: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """(n,) uint64 of the top line of notes, at least one."""
    order = np.lexsort((pitch, onset))
    onset, pitch = onset[order], pitch[order].astype(np.int16)
    intervals = np.diff(pitch[np.append(np.diff(onset) > 0, True)]).astype(np.int8)
    if len(intervals) < GRAM:
        # No music leaps by 127 semitones.
        intervals = np.append(intervals, np.full(GRAM - len(intervals), 127, np.int8))
    windows = np.lib.stride_tricks.sliding_window_view(intervals, GRAM)
    return np.ascontiguousarray(windows).view("<u8").ravel()


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
    index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    known: dict[str, int] = {}
    links: list[tuple[int, int]] = []
    for number, (values, work) in enumerate(zip(signatures, works)):
        sketch = MinHash(seed=1, hashvalues=values, permutations=_PERMUTATIONS, scheme=_SCHEME)
        near = np.array(index.query(sketch), dtype=np.int64)
        alike = (signatures[near] == values).mean(axis=1) >= SIMILAR
        links += [(number, other) for other in near[alike].tolist()]
        if work:
            links.append((number, known.setdefault(work, number)))
        index.insert(number, sketch, check_duplication=False)
    roots = union(range(len(piece_ids)), links)
    least: dict[Hashable, str] = {}
    for number, piece_id in enumerate(piece_ids):
        least[roots[number]] = min(piece_id, least.get(roots[number], piece_id))
    return [least[roots[number]] for number in range(len(piece_ids))]


def union(
    items: Iterable[Hashable], links: Iterable[tuple[Hashable, Hashable]]
) -> dict[Hashable, Hashable]:
    """Each item's representative, the same for all that are linked."""
    parent = {item: item for item in items}

    def root(item: Hashable) -> Hashable:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for left, right in links:
        parent[root(left)] = root(right)
    return {item: root(item) for item in parent}
