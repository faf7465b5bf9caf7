"""Architectures compared at equal cost, and isoFLOP minima found."""

import numpy as np
import pytest

from fitting.comparison import compare
from fitting.isoflop import fit_frontier
from fitting.power_law import PowerLaw, fit

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
    assert found.crossing == pytest.approx(n, rel=0.15)


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
