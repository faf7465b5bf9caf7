"""Versions of one work: found by what they share, in any key, so that no split tears them apart.

A piece is reduced to its top line (the highest note of each onset, drums aside) and that to the set
of its runs of eight intervals. Versions of a song share most of them (median Jaccard similarity .94
in POP909), different songs hardly any (at most .007), so the threshold is not delicate.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from datasketch import MinHash, MinHashLSH

from data.score import Score

GRAM = 8
PERMUTATIONS = 128
SIMILAR = 0.5
"""Jaccard similarity from which two pieces are versions of one work."""

_SCHEME = "affine32"
_PERMUTATIONS = MinHash(PERMUTATIONS, seed=1, scheme=_SCHEME).permutations


def grams(score: Score) -> np.ndarray:
    """The runs of `GRAM` intervals of the top line, each as one number: (n,) uint64, no repeats.

    A line that is shorter is one run.
    """
    pitched = ~score.is_drum
    onset, pitch = score.onset[pitched], score.pitch[pitched].astype(np.int16)
    order = np.lexsort((pitch, onset))
    onset, pitch = onset[order], pitch[order]
    top = pitch[np.append(np.diff(onset) > 0, True)] if len(onset) else pitch
    intervals = np.diff(top).astype(np.int8)
    if len(intervals) < GRAM:
        # No music leaps by 127 semitones.
        intervals = np.append(intervals, np.full(GRAM - len(intervals), 127, np.int8))
    runs = np.lib.stride_tricks.sliding_window_view(intervals, GRAM)
    return np.unique(np.ascontiguousarray(runs).view("<u8"))


def signature(score: Score) -> np.ndarray:
    """MinHash of `grams`, (PERMUTATIONS,) uint32: shares of equal entries estimate similarity."""
    sketch = MinHash(PERMUTATIONS, seed=1, permutations=_PERMUTATIONS, scheme=_SCHEME, hashfunc=int)
    # Fibonacci hashing (Knuth, TAOCP 3, 6.4): a SHA-1 each, the default, costs ten times the rest.
    mixed = (grams(score) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    sketch.update_batch(mixed.tolist())
    return sketch.hashvalues.astype(np.uint32)


def group(piece_ids: list[str], signatures: np.ndarray) -> list[str]:
    """The `group_id` of each piece: the least piece_id of all that it is linked with.

    signatures: (pieces, PERMUTATIONS). Links are transitive: a medley joins what it quotes.
    """
    index = MinHashLSH(threshold=SIMILAR, num_perm=PERMUTATIONS)
    for number, values in enumerate(signatures):
        index.insert(number, _sketch(values), check_duplication=False)
    links = (
        (number, other)
        for number, values in enumerate(signatures)
        for other in index.query(_sketch(values))
        if other < number and (signatures[other] == values).mean() >= SIMILAR
    )
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


def _sketch(values: np.ndarray) -> MinHash:
    return MinHash(seed=1, hashvalues=values, permutations=_PERMUTATIONS, scheme=_SCHEME)
