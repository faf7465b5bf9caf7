"""Connected components over arrays: four bytes a piece, however many pairs are linked."""

from __future__ import annotations

import numpy as np


def joined(root: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(pieces,) int32: the root of each piece once these pairs, too, have been linked.

    root: (pieces,) int32, the least number in the component of each piece, as far as it is known.
    left, right: (pairs,) numbers of pieces.
    """
    root = root.copy()
    while True:
        one, other = root[left], root[right]
        apart = one != other
        if not apart.any():
            return root
        left, right, one, other = left[apart], right[apart], one[apart], other[apart]
        # Each root takes the least that it is linked with; then each piece goes up to the top.
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while ((above := root[root]) != root).any():
            root = above
