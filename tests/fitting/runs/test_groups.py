"""Values that only just differ are one; chains of them are not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fitting.runs.groups import groups


def test_a_hair_of_difference_is_none_wherever_a_rounded_number_changes() -> None:
    assert groups([2_000_000, 2_003_000, 4_000_000], 0.02).tolist() == [0, 0, 1]


def test_order_does_not_matter() -> None:
    assert groups([4.0, 1.0, 4.01, 1.001], 0.02).tolist() == [1, 0, 1, 0]


def test_a_chain_is_parted_at_its_widest_gap() -> None:
    assert groups([1.0, 1.015, 1.035, 1.05], 0.04).tolist() == [0, 0, 1, 1]


@given(st.lists(st.floats(1, 1e3), min_size=1, max_size=60), st.floats(0.001, 0.2))
def test_no_group_spans_more_than_the_tolerance(values: list[float], tolerance: float) -> None:
    found, numbers = groups(values, tolerance), np.array(values)
    for group in range(found.max() + 1):
        mine = numbers[found == group]
        assert mine.max() / mine.min() <= (1 + tolerance) * (1 + 1e-6)
    # Numbered from the smallest up, none left out.
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))
    assert (np.diff(found[np.argsort(numbers, kind="stable")]) >= 0).all()


def test_a_long_even_chain_is_divided_evenly_and_at_once() -> None:
    found = groups(1e6 + 100 * np.arange(3000), 0.02)
    assert np.bincount(found).min() > 20
    assert groups(1.004 ** np.arange(12), 0.02).tolist() == sorted([0, 1, 2] * 4)
