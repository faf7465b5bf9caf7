"""What pieces that are added share with settled ones, which stay where they are.

A medley of two works makes one component of all their versions. If the works are in different
splits, it is the medley that has to go, and not the versions that were added with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.works.versions import ENOUGH, PLAIN, alike, plainly_alike, similar


def linked_in(root: np.ndarray, split: np.ndarray, splits: int) -> np.ndarray:
    """(splits, pieces) int32: the first settled piece of each split that a piece is linked with; -1
    where there is none.

    A piece with one such split belongs to the group of that settled piece. One with several would
    join works that are in different splits.
    root: (pieces,) int32, the first piece among all that each is linked with. split: (pieces,) the
    number of the split of a settled piece, -1 of one that is added. splits: how many there are.
    """
    pieces = len(root)
    first = np.full((splits, pieces), pieces, np.int32)
    for number, row in enumerate(first):
        settled = np.flatnonzero(split == number).astype(np.int32)
        np.minimum.at(row, root[settled], settled)
    first[first == pieces] = -1
    return first[:, root]


@dataclass(frozen=True)
class Torn:
    """The pieces of components that are linked with settled pieces of several splits."""

    whole: np.ndarray
    """(pieces, BINS) signatures,"""
    bare: np.ndarray
    """and without the bins of common figures."""
    known: np.ndarray
    """(pieces,) equal for those that are linked whatever they share."""
    component: np.ndarray
    """(pieces,) equal for those of one component."""
    split: np.ndarray
    """As for `linked_in`."""


def without_bridges(torn: Torn, splits: int, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Leave out the pieces that are themselves versions of works in several splits, and look anew
    at what the others are linked with: the root of each piece, and `linked_in`."""
    bridges = _bridges(torn, splits)
    rest = np.flatnonzero(~several(bridges))
    found = plainly_alike(torn.whole[rest], _first_equal(torn.known[rest]), threads)
    root = np.arange(len(torn.split), dtype=np.int32)
    root[rest] = rest[alike(torn.bare[rest], found, threads)]
    return root, np.where(several(bridges), bridges, linked_in(root, torn.split, splits))


def several(linked: np.ndarray) -> np.ndarray:
    """(pieces,) bool: which are linked with settled pieces of more than one split."""
    return (linked >= 0).sum(axis=0) > 1


def _first_equal(labels: np.ndarray) -> np.ndarray:
    """(n,) int32: the first index of the same label."""
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    return first[number].astype(np.int32)


def _bridges(torn: Torn, splits: int) -> np.ndarray:
    """(splits, pieces) int32: the first settled piece of each split that an added piece is itself a
    version of; -1 where there is none."""
    found = np.full((splits, len(torn.split)), -1, np.int32)
    settled = np.flatnonzero(torn.split >= 0)
    settled = settled[np.argsort(torn.component[settled], kind="stable")]
    component = torn.component[settled]
    for piece in np.flatnonzero(torn.split < 0).tolist():
        mine = torn.component[piece]
        others = settled[
            np.searchsorted(component, mine) : np.searchsorted(component, mine, "right")
        ]
        one = np.full(len(others), piece)
        same = torn.known[others] == torn.known[piece]
        same |= similar(torn.whole[one], torn.whole[others], PLAIN)
        same |= similar(torn.bare[one], torn.bare[others], ENOUGH)
        for other in others[same][::-1].tolist():
            found[torn.split[other], piece] = other
    return found
