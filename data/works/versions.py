"""Versions of one work: found by what they share, so that no split tears them apart.

Signatures (`data.works.signatures`) are compared where they agree in two bins. First, what is
plainly alike is linked. Then the runs are left out that several works hold, for they are common
figures: with them, hundreds of arrangements with the same broken chords are one chain. Of what
remains, little has to be shared. EXPERIMENTS.md has what each threshold tears and merges, in
scores and in performances.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SHARE = 0.15
"""Of the bins that two signatures fill, that versions have in common if they are short;"""
ENOUGH = 12
"""and how many bins, if they are long."""
COMMON = 4
"""Works: a run that more of them hold is a figure, and does not count."""
PLAIN, PART = 40, 4
"""Bins that are enough while figures still count; looked for in one of so many parts of them."""
NEIGHBOURS = 8
"""Of the pieces that agree in a bin, how many of the next each is paired with at most."""
AGREED = 2**19
"""Agreements in one bin that are collected, or 8 a piece, before those in two are compared."""
COMPARED = 2**12
"""Pairs that are compared at once."""


def group(piece_ids: list[str], signatures: np.ndarray, works: list[str]) -> list[str]:
    """The `group_id` of each piece: the least piece_id of all that it is linked with.

    signatures: (pieces, BINS) uint16; the bins of common runs are emptied in it. works: the work of
    each piece, where it is known, else ""; its pieces are linked, whatever they share. Links are
    transitive: a medley joins what it quotes.
    """
    first: dict[str, int] = {}
    known = [first.setdefault(work, n) if work else n for n, work in enumerate(works)]
    root = np.array(known)
    bins = signatures.shape[1]
    for left, right in _alike(signatures, root, bins // PART, PLAIN):
        root[:] = _linked(root, left, right)
    empty_common(signatures, root)
    for left, right in _alike(signatures, root, bins, ENOUGH):
        root[:] = _linked(root, left, right)
    least: dict[int, str] = {}
    for number, piece_id in zip(root.tolist(), piece_ids):
        least[number] = min(piece_id, least.get(number, piece_id))
    return [least[number] for number in root.tolist()]


def empty_common(signatures: np.ndarray, root: np.ndarray) -> None:
    """Empty the bins of runs that many works hold, each as far as its pieces hold them.

    root: (pieces,) of the work that each piece is of, as far as is known.
    """
    sizes = np.bincount(root)
    # In 16 bits some agree by chance.
    most = COMMON + 2 * np.count_nonzero(sizes) / 2**16
    weight = 1 / sizes[root]
    for number, column in enumerate(_columns(signatures)):
        held = np.bincount(column, weight) > most
        held[0] = False
        if held.any():
            signatures[held[column], number] = 0


def _columns(signatures: np.ndarray) -> Iterator[np.ndarray]:
    """Bin after bin of all pieces, (pieces,) each: gathered by the cache line, which is quicker."""
    for start in range(0, signatures.shape[1], 32):
        yield from np.ascontiguousarray(signatures[:, start : start + 32].T)


def _filled(signatures: np.ndarray) -> np.ndarray:
    """How many bins each piece fills, (pieces,) uint16; by parts, for a mask of all is large."""
    parts = range(0, len(signatures), COMPARED)
    filled = [(signatures[at : at + COMPARED] > 0).sum(axis=1, dtype=np.uint16) for at in parts]
    return np.concatenate(filled)


def similar(left: np.ndarray, right: np.ndarray, enough: int) -> np.ndarray:
    """Which pairs share `enough` bins, or `SHARE`: two times (pairs, BINS) to (pairs,) bool."""
    filled = ((left | right) > 0).sum(axis=1, dtype=np.uint16)
    shared = ((left == right) & (left > 0)).sum(axis=1, dtype=np.uint16)
    return (shared >= np.clip(SHARE * filled, 2, enough)) | ((shared == filled) & (filled > 0))


def _alike(
    signatures: np.ndarray, root: np.ndarray, bins: int, enough: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Similar pairs that agree in two of the first bins, but for those that share a root already.

    root: (pieces,), which the caller keeps up to date.
    """
    pieces = len(signatures)
    sole = _filled(signatures) == 1
    found: list[np.ndarray] = []
    for number, column in enumerate(_columns(signatures[:, :bins]), start=1):
        for near, far in _agreeing(column, root):
            # Who fills but one bin agrees in no other.
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
    """Pairs with one value in a filled bin, and different roots.

    Sorted, in place of a hash table: what agrees stands side by side.
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
    """The root of each piece when these pairs are linked, too: (pieces,) int64."""
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
