"""Versions of one work are found by what they share, so that no split separates them.

Signatures (`data.works.signatures`) that are equal are of one work. Others are compared if they
are neighbours in two buckets (`data.works.buckets`). First, pieces that are plainly alike are
linked. Then runs that several works contain are left out: these are common figures, and would join
hundreds of arrangements with the same broken chords into one chain. Of what remains, little has to
be shared. docs/experiments/data.md shows which works each threshold separates or merges wrongly, in
scores and in performances.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from data.works.buckets import agreeing_twice, block_size, chains, columns
from data.works.components import joined

SHARE = 0.15
"""Versions share this part of the bins that the two signatures fill, if they are short;"""
ENOUGH = 12
"""or so many bins, if they are long."""
COMMON = 4
"""A run that more works than this contain is a common figure, and does not count."""
PLAIN, PLAIN_QUOTIENT = 40, 4
"""How many equal bins are enough while figures still count, found in a quarter of the bins."""
COMPARED = 2**12
"""The number of pairs that are compared at a time, and of signatures that are read at a time."""


def group(signatures: np.ndarray, works: np.ndarray | None = None, threads: int = 1) -> np.ndarray:
    """(pieces,) int32: the first piece among all that each is linked with.

    signatures: (pieces, BINS) uint16; the bins of common runs are emptied in place. works:
    (pieces,) int32, the first piece of the work of each, if some are known; the pieces of a work
    are linked, whatever they share. Links are transitive: a medley joins the works that it quotes.
    What is found does not depend on the number of threads. Raises OSError for a full disk.
    """
    root = np.arange(len(signatures), dtype=np.int32) if works is None else works
    root = plainly_alike(signatures, root, threads)
    empty_common(signatures, root)
    return alike(signatures, root, threads)


def plainly_alike(signatures: np.ndarray, root: np.ndarray, threads: int = 1) -> np.ndarray:
    """The root of each piece once those are linked that are alike although figures count."""
    return _linked(signatures, root, signatures.shape[1] // PLAIN_QUOTIENT, PLAIN, threads)


def alike(signatures: np.ndarray, root: np.ndarray, threads: int = 1) -> np.ndarray:
    """The root of each piece once all versions are linked, without the bins of common figures."""
    return _linked(signatures, root, signatures.shape[1], ENOUGH, threads)


def _linked(
    signatures: np.ndarray, root: np.ndarray, bins: int, enough: int, threads: int
) -> np.ndarray:
    """Link equal signatures, and the similar ones that are neighbours in the first `bins`."""
    root = joined(root, np.arange(len(root)), _first_equal(signatures))
    found = chains(signatures, bins)

    def pairs(start: int) -> tuple[np.ndarray, np.ndarray]:
        # What others have linked meanwhile is not compared again.
        left, right = agreeing_twice(found, root, start)
        same = np.zeros(len(left), bool)
        for at in range(0, len(left), COMPARED):
            part = slice(at, at + COMPARED)
            same[part] = similar(signatures[left[part]], signatures[right[part]], enough)
        return left[same], right[same]

    with ThreadPoolExecutor(threads) as pool:
        for left, right in pool.map(pairs, range(0, len(root), block_size(len(root)))):
            root = joined(root, left, right)
    return root


def _first_equal(signatures: np.ndarray) -> np.ndarray:
    """(pieces,) int32: the first piece with the same signature; itself, if that is empty."""
    digests = np.concatenate([_digests(block) for block in _blocks(signatures)])
    order = np.argsort(digests, kind="stable").astype(np.int32)
    # Empty signatures have the digest 0, which begins no run of equal ones.
    starts = np.flatnonzero(np.diff(digests[order], prepend=np.uint64(0)))
    stops = np.append(starts[1:], len(order))
    several = stops - starts > 1
    first = np.arange(len(order), dtype=np.int32)
    for start, stop in zip(starts[several].tolist(), stops[several].tolist()):
        same = order[start:stop]
        equal = (signatures[same] == signatures[same[0]]).all(axis=1)
        first[same[equal]] = same[0]
    return first


def _blocks(signatures: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(signatures), COMPARED):
        yield np.asarray(signatures[start : start + COMPARED])


def _digests(signatures: np.ndarray) -> np.ndarray:
    """(n,) uint64: equal for equal signatures, and 0 for those that are empty."""
    random = np.random.default_rng(0).integers(2**64, size=signatures.shape[1], dtype=np.uint64)
    words = signatures * random
    # Without this, sums of other multiples could be equal as well.
    words ^= words >> np.uint64(29)
    return words.sum(axis=1)


def empty_common(signatures: np.ndarray, root: np.ndarray) -> None:
    """Empty the bins of runs that many works contain.

    A work counts in proportion to how many of its pieces have the run. root: (pieces,) the work of
    each piece, as far as it is known.
    """
    sizes = np.bincount(root)
    # With 16 bits, some agree by chance.
    most = COMMON + 2 * np.count_nonzero(sizes) / 2**16
    weight = 1 / sizes[root]
    for number, column in enumerate(columns(signatures, signatures.shape[1])):
        held = np.bincount(column, weight) > most
        held[0] = False
        if held.any():
            signatures[held[column], number] = 0


def similar(left: np.ndarray, right: np.ndarray, enough: int) -> np.ndarray:
    """(pairs,) bool: which pairs of signatures share `enough` bins, or `SHARE` of them.

    left, right: (pairs, BINS).
    """
    filled = ((left | right) > 0).sum(axis=1, dtype=np.uint16)
    shared = ((left == right) & (left > 0)).sum(axis=1, dtype=np.uint16)
    return (shared >= np.clip(SHARE * filled, 2, enough)) | ((shared == filled) & (filled > 0))
