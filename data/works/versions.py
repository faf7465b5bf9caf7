"""Versions of one work are found by what they share, so that no split separates them.

Signatures (`data.works.signatures`) are compared if they agree in at least two bins. First, pieces
that are plainly alike are linked. Then runs that several works contain are left out: these are
common figures, and would join hundreds of arrangements with the same broken chords into one chain.
Of what remains, little has to be shared. EXPERIMENTS.md shows which works each threshold separates
or merges wrongly, in scores and in performances.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SHARE = 0.15
"""Versions share this part of the bins that the two signatures fill, if they are short;"""
ENOUGH = 12
"""or so many bins, if they are long."""
COMMON = 4
"""A run that more works than this contain is a common figure, and does not count."""
PLAIN, PLAIN_QUOTIENT = 40, 4
"""How many equal bins are enough while figures still count, found in a quarter of the bins."""
NEIGHBOURS = 8
"""Among pieces that agree in a bin, each is paired with at most so many that follow it."""
AGREED = 2**19
"""Agreements in one bin that are collected, or 8 per piece, before pairs with two are compared."""
COMPARED = 2**12
"""The number of pairs that are compared at a time."""


def group(piece_ids: list[str], signatures: np.ndarray, works: list[str]) -> list[str]:
    """The `group_id` of each piece: the smallest piece_id among all that it is linked with.

    signatures: (pieces, BINS) uint16; the bins of common runs are emptied in place. works: the work
    of each piece if it is known, else ""; the pieces of a work are linked, whatever they share.
    Links are transitive: a medley joins the works that it quotes.
    """
    first: dict[str, int] = {}
    known = [first.setdefault(work, n) if work else n for n, work in enumerate(works)]
    root = np.array(known)
    bins = signatures.shape[1]
    for left, right in _alike(signatures, root, bins // PLAIN_QUOTIENT, PLAIN):
        root[:] = _linked(root, left, right)
    empty_common(signatures, root)
    for left, right in _alike(signatures, root, bins, ENOUGH):
        root[:] = _linked(root, left, right)
    least: dict[int, str] = {}
    for number, piece_id in zip(root.tolist(), piece_ids):
        least[number] = min(piece_id, least.get(number, piece_id))
    return [least[number] for number in root.tolist()]


def empty_common(signatures: np.ndarray, root: np.ndarray) -> None:
    """Empty the bins of runs that many works contain.

    A work counts in proportion to how many of its pieces have the run. root: (pieces,) the work of
    each piece, as far as it is known.
    """
    sizes = np.bincount(root)
    # With 16 bits, some agree by chance.
    most = COMMON + 2 * np.count_nonzero(sizes) / 2**16
    weight = 1 / sizes[root]
    for number, column in enumerate(_columns(signatures)):
        held = np.bincount(column, weight) > most
        held[0] = False
        if held.any():
            signatures[held[column], number] = 0


def _columns(signatures: np.ndarray) -> Iterator[np.ndarray]:
    """One bin of all pieces after another, (pieces,) each; read by whole cache lines, for speed."""
    for start in range(0, signatures.shape[1], 32):
        yield from np.ascontiguousarray(signatures[:, start : start + 32].T)


def _filled(signatures: np.ndarray) -> np.ndarray:
    """(pieces,) uint16: how many bins each fills. By blocks, as a mask for all would be large."""
    blocks = range(0, len(signatures), COMPARED)
    filled = [(signatures[at : at + COMPARED] > 0).sum(axis=1, dtype=np.uint16) for at in blocks]
    return np.concatenate(filled)


def similar(left: np.ndarray, right: np.ndarray, enough: int) -> np.ndarray:
    """(pairs,) bool: which pairs of signatures share `enough` bins, or `SHARE` of them.

    left, right: (pairs, BINS).
    """
    filled = ((left | right) > 0).sum(axis=1, dtype=np.uint16)
    shared = ((left == right) & (left > 0)).sum(axis=1, dtype=np.uint16)
    return (shared >= np.clip(SHARE * filled, 2, enough)) | ((shared == filled) & (filled > 0))


def _alike(
    signatures: np.ndarray, root: np.ndarray, bins: int, enough: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Similar pairs that agree in two of the first `bins`, unless they already share a root.

    root: (pieces,), which the caller keeps up to date.
    """
    pieces = len(signatures)
    sole = _filled(signatures) == 1
    found: list[np.ndarray] = []
    for number, column in enumerate(_columns(signatures[:, :bins]), start=1):
        for near, far in _agreeing(column, root):
            # A piece that fills only one bin cannot agree in a second.
            found += [near * pieces + far, (near * pieces + far)[sole[near]]]
        held = sum(map(len, found))
        if not held or (held < max(AGREED, 8 * pieces) and number < bins):
            continue
        pairs = np.concatenate(found)
        found.clear()
        pairs.sort()
        pairs = np.unique(pairs[1:][pairs[1:] == pairs[:-1]])
        for start in range(0, len(pairs), COMPARED):
            left, right = np.divmod(pairs[start : start + COMPARED], pieces)
            same = similar(signatures[left], signatures[right], enough)
            yield left[same], right[same]


def _agreeing(column: np.ndarray, root: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs with equal values in a filled bin, and different roots.

    Sorting replaces a hash table: equal values stand side by side.
    """
    order = np.argsort(column, kind="stable")
    order = order[np.searchsorted(column[order], 1) :]
    column, root = column[order], root[order]
    near = np.arange(len(order))
    for distance in range(1, NEIGHBOURS + 1):
        near = near[: np.searchsorted(near, len(order) - distance)]
        near = near[column[near] == column[near + distance]]
        if not len(near):
            return
        apart = near[root[near] != root[near + distance]]
        yield order[apart], order[apart + distance]


def _linked(root: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(pieces,) int64: the root of each piece after these pairs have been linked as well."""
    parent: dict[int, int] = {}
    for pair in np.unique(root[np.stack([left, right])], axis=1).T.tolist():
        above, below = sorted(_top(parent, each) for each in pair)
        if above != below:
            parent[below] = above
    linked = np.arange(len(root))
    for each in parent:
        linked[each] = _top(parent, each)
    return linked[root]


def _top(parent: dict[int, int], item: int) -> int:
    while (above := parent.get(item, item)) != item:
        parent[item] = parent.get(above, above)
        item = above
    return item
