"""Linked pairs make components, whatever their order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.works.components import joined

PIECES = 12
links = st.lists(st.tuples(st.integers(0, PIECES - 1), st.integers(0, PIECES - 1)), max_size=20)


@given(links, links)
def test_a_component_is_named_by_its_least_piece(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    label = list(range(PIECES))
    for left, right in before + after:
        label = [label[left] if old == label[right] else old for old in label]
    root = np.arange(PIECES, dtype=np.int32)
    for linked in (before, after):
        pairs = np.array(linked, np.int64).reshape(-1, 2)
        root = joined(root, pairs[:, 0], pairs[:, 1])
    assert root.tolist() == [label.index(value) for value in label]
