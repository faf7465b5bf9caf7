"""Architectures compared at equal cost, and isoFLOP minima found."""

import numpy as np
import pytest

from fitting.compare.comparison import compare
from fitting.law.power_law import PowerLaw, fit
from fitting.surface.isoflop import fit_frontier

SIZES = np.repeat(np.geomspace(3e3, 3e5, 8), 3)


def law(a: float, alpha: float, c: float, seed: int) -> PowerLaw:
    noise = np.random.default_rng(seed).standard_normal(len(SIZES))
    return fit(SIZES, (a * SIZES**-alpha + c) * np.exp(0.003 * noise))


def test_equal_architectures_are_not_told_apart() -> None:
    found = compare("x", law(6, 0.3, 1.2, 0), "y", law(6, 0.3, 1.2, 1), "n_params")
    assert found is not None
    assert 0 in found.alpha_interval
    assert 0 in found.loss_interval
    assert 1 in found.multiplier_interval


def test_a_better_architecture_needs_less_compute_by_the_true_factor() -> None:
    # The second needs 4 times the size for any loss: a is larger by 4^alpha.
    found = compare("x", law(6, 0.3, 1.2, 0), "y", law(6 * 4**0.3, 0.3, 1.2, 1), "flops")
    assert found is not None
    assert found.loss_interval.high < 0
    assert 0.25 in found.multiplier_interval
    assert "x is ahead of y" in found.sentence()


def test_the_crossing_is_where_the_laws_are_equal() -> None:
    n = 3e4
    first = law(1.0 * n**0.2, 0.2, 1.0, 0)
    second = law(1.0 * n**0.6, 0.6, 1.0, 1)
    found = compare("x", first, "y", second, "n_params")
    assert found is not None
    assert found.crossing is not None
    assert found.crossing.at == pytest.approx(n, rel=0.15)
    assert n in found.crossing.interval
    assert "cross at" in found.sentence()


def test_equal_laws_are_said_to_cross_in_no_more_than_one_pair_in_twenty() -> None:
    pairs = [(law(6, 0.3, 1.2, 2 * k), law(6, 0.3, 1.2, 2 * k + 1)) for k in range(60)]
    found = [compare("x", one, "y", two, "n_params") for one, two in pairs]
    # 79 % where any point of equal loss is a crossing.
    assert sum(each is not None and each.crossing is not None for each in found) <= 3


def test_of_many_pairs_each_interval_is_wider() -> None:
    laws = law(6, 0.3, 1.2, 0), law(6, 0.3, 1.2, 1)
    one, many = (compare("x", laws[0], "y", laws[1], "n_params", pairs=p) for p in (1, 45))
    assert one is not None
    assert many is not None
    assert many.loss_interval.low < one.loss_interval.low
    assert many.loss_interval.high > one.loss_interval.high


def test_a_size_that_was_not_measured_is_said_to_be_interpolated() -> None:
    fewer = np.repeat(np.geomspace(3e3, 2e5, 7), 3)
    noise = np.random.default_rng(1).standard_normal(len(fewer))
    other = fit(fewer, (6 * fewer**-0.3 + 1.2) * np.exp(0.003 * noise))
    found = compare("x", law(6, 0.3, 1.2, 0), "y", other, "n_params")
    assert found is not None
    assert found.interpolated == ("x",)
    assert "x: interpolated, with no run there." in found.sentence()


def test_isoflop_minima_follow_the_exponent_of_the_surface() -> None:
    n, flops = (
        v.ravel() for v in np.meshgrid(np.geomspace(0.2, 5, 9), np.geomspace(1e17, 1e19, 4))
    )
    n = n * 1e8 * (flops / 1e18) ** 0.5
    tokens = flops / 6 / n
    loss = 1.7 + (n / 1e7) ** -0.35 + (tokens / 1e8) ** -0.35
    frontier = fit_frontier(n, flops, loss)
    assert len(frontier.curves) == 4
    assert frontier.exponent == pytest.approx(0.5, abs=0.02)
