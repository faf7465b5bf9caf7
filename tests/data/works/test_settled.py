"""Which settled pieces an added one is linked with, split by split."""

from __future__ import annotations

import numpy as np

from data.works.settled import linked_in

ADDED = -1


def test_an_added_piece_is_linked_with_the_first_of_each_split() -> None:
    #                   0  1  2  3  4  5  6
    root = np.array([0, 0, 0, 3, 3, 5, 0], np.int32)
    split = np.array([ADDED, 1, 1, 0, ADDED, ADDED, 2])
    found = linked_in(root, split, 3)
    assert found[:, 0].tolist() == [-1, 1, 6]
    assert found[:, 4].tolist() == [3, -1, -1]
    assert found[:, 5].tolist() == [-1, -1, -1]


def test_where_nothing_is_settled_nothing_is_linked() -> None:
    assert (linked_in(np.zeros(4, np.int32), np.full(4, ADDED), 3) == -1).all()
