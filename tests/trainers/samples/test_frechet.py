"""The distance from real pieces is none for real ones, however few, and grows with what differs."""

from __future__ import annotations

import numpy as np
import pytest

from trainers.samples.frechet import correlated, distance, frechet, normal_scores

MEASURES = 5


def pieces(count: int, seed: int, shift: float = 0.0, stretch: float = 1.0) -> np.ndarray:
    """(pieces, measures) that go together, with a heavy tail, as those of music have."""
    normal = np.random.default_rng(seed).normal(size=(count, MEASURES))
    normal[:, 1] = 0.8 * normal[:, 0] + 0.6 * normal[:, 1]
    normal[:, 2] = stretch * normal[:, 2] + shift
    return np.exp(normal)


REAL = pieces(2000, seed=0)


def test_it_is_frechets_between_normal_distributions() -> None:
    """By its formula, with covariances that have a root by hand: 4 + (3 - 1)^2 + (2 - 1)^2."""
    square = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)
    apart = square * [3, 2] + [0, 2]
    assert distance(apart, square, covariances=True) == pytest.approx(9)
    assert distance(apart, square, covariances=False) == pytest.approx(9)


def test_covariances_count_where_they_are_asked_for() -> None:
    turned = np.array([[1, 1], [-1, -1], [1, 1], [-1, -1], [1, -1], [-1, 1]])
    other = turned * [1, -1]
    assert distance(turned, other, covariances=False) == pytest.approx(0)
    assert distance(turned, other, covariances=True) > 0.1


@pytest.mark.parametrize(("count", "covariances"), [(8, False), (12, True), (40, True)])
def test_real_pieces_are_at_no_distance_whatever_their_number(
    count: int, covariances: bool
) -> None:
    found = [frechet(pieces(count, seed), REAL, covariances) for seed in range(1, 101)]
    raw = [
        distance(normal_scores(pieces(count, seed), REAL), normal_scores(REAL, REAL), covariances)
        for seed in range(1, 101)
    ]
    mean, error = np.mean([each.value for each in found]), np.std([each.value for each in found])
    assert np.mean(raw) > 5 * error / 10
    assert abs(mean) < 3 * error / 10
    assert np.mean([each.low <= 0 <= each.high for each in found]) > 0.85


def test_eight_pieces_have_no_covariances_of_nine_measures() -> None:
    assert not correlated(8, 9)
    assert correlated(24, 9)


@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_it_is_what_a_measure_is_off_by_in_standard_deviations(shift: float) -> None:
    found = [frechet(pieces(24, seed, shift), REAL, True).value for seed in range(1, 41)]
    assert np.mean(found) == pytest.approx(shift**2, rel=0.25)


def test_one_odd_piece_does_not_decide() -> None:
    usual, odd = pieces(24, seed=1), pieces(24, seed=1)
    odd[0, 0] = 1e6
    assert frechet(odd, REAL, True).value < frechet(usual, REAL, True).value + 1


def test_pieces_without_a_measure_are_left_out_and_of_too_few_nothing_is_said() -> None:
    some = pieces(6, seed=1)
    some[0, 0] = np.nan
    assert frechet(some, REAL, False).n == 5
    assert np.isnan(frechet(some[:3], REAL, False).value)
