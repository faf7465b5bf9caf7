"""How many answers it takes, counted out."""

from __future__ import annotations

from itertools import count
from math import comb

import pytest
from scipy import stats

from trainers.samples.listening import answers_needed


def share_of_listeners(n: int, right: float) -> float:
    """Of listeners who are right so often, those whose 95 % interval does not hold 50 %."""
    told = 0.0
    for hits in range(n + 1):
        ends = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
        if not ends.low <= 0.5 <= ends.high:
            told += comb(n, hits) * right**hits * (1 - right) ** (n - hits)
    return told


@pytest.mark.parametrize(("right", "needed"), [(0.6, 210), (0.7, 54), (0.8, 23), (0.9, 12)])
def test_so_many_answers_are_needed_and_no_fewer(right: float, needed: int) -> None:
    assert answers_needed(right) == needed
    assert share_of_listeners(needed - 1, right) < 0.8
    assert all(share_of_listeners(needed + more, right) >= 0.8 for more in range(12))


def test_it_is_what_counting_up_from_one_gives() -> None:
    shares = [share_of_listeners(n, 0.8) >= 0.8 for n in range(1, 60)]
    assert answers_needed(0.8) == next(n for n in count(1) if all(shares[n - 1 :]))


def test_hardly_better_than_chance_cannot_be_told() -> None:
    with pytest.raises(ValueError, match="more than 2000 answers"):
        answers_needed(0.51)
