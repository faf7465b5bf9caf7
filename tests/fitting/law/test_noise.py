"""How far runs scatter: what seeds tell, what sizes share, and what neither can."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f as f_distribution

from fitting.law.noise import Spread, growth_of
from fitting.law.power_law import fit
from fitting.runs.groups import groups


def spread(between: float, within: float, sizes: int = 8, runs: int = 3) -> Spread:
    """Mean squares `between` sizes and `within` them, of a law with three parameters."""
    dof = sizes - 3, sizes * (runs - 1)
    return Spread(between * dof[0], dof[0], within * dof[1], dof[1], runs, 0.0, 0.0)


@given(st.integers(1, 20), st.floats(1e-6, 1e3))
def test_without_repeated_runs_it_is_the_f_distribution(dof: int, square: float) -> None:
    alone = Spread(square * dof, dof, 0.0, 0, 1, 0.0, 0.0)
    assert alone.cut(0.95) == pytest.approx(square * f_distribution.ppf(0.95, 1, dof), rel=1e-4)
    assert alone.tail(3 * square, 2) == pytest.approx(f_distribution.sf(1.5, 2, dof), rel=1e-6)


@given(st.floats(0.5, 0.999), st.floats(0.1, 30))
def test_the_cut_is_where_the_tail_is_what_is_left(level: float, between: float) -> None:
    found = spread(between, 1.0)
    assert found.tail(found.cut(level), 1) == pytest.approx(1 - level, rel=1e-3)


def test_sizes_that_miss_by_more_than_seeds_differ_make_the_cut_larger() -> None:
    cuts = [spread(between, 1.0).cut(0.95) for between in (0.5, 1, 4, 16, 64)]
    assert cuts == sorted(cuts)
    # In the end it is the misfit of the sizes alone that counts.
    cut = spread(1e4, 1.0).cut(0.95)
    assert 0.5 < cut / (1e4 * f_distribution.ppf(0.95, 1, 5)) < 1.1


def test_it_is_narrower_than_the_sizes_alone_where_they_agree_with_the_seeds() -> None:
    five = spread(1.0, 1.0, sizes=5).cut(0.95)
    assert f_distribution.ppf(0.95, 1, 12) < five < f_distribution.ppf(0.95, 1, 2)


def test_the_mean_of_more_runs_varies_less_but_never_less_than_what_they_share() -> None:
    noisy = spread(30.0, 1.0)
    variances = [float(noisy.of_mean(1.0, runs)) for runs in (1, 3, 100, 10_000)]
    assert variances == sorted(variances, reverse=True)
    assert variances[-1] > 0.2


def test_draws_are_of_the_size_that_was_seen() -> None:
    sigma, tau = spread(13.0, 1.0, sizes=60).draw(np.random.default_rng(0), 4000)
    assert np.median(sigma) == pytest.approx(1.0, rel=0.05)
    # 13 = 1 + 3 tau^2
    assert np.median(tau) == pytest.approx(2.0, rel=0.15)


def seeds_of(growth: float, seed: int, sizes: int = 8, runs: int = 3) -> tuple[np.ndarray, ...]:
    log_n = np.repeat(np.linspace(8, 12.6, sizes), runs)
    sd = 0.01 * np.exp(growth * (log_n - 10))
    y = sd * np.random.default_rng(seed).standard_normal(len(log_n))
    return y, log_n, groups(np.exp(log_n), 0.005)


def test_noise_that_falls_with_size_is_found_and_no_growth_is_made_up() -> None:
    falling = np.median([growth_of(*seeds_of(-0.5, seed)) for seed in range(40)])
    even = [growth_of(*seeds_of(0.0, seed)) for seed in range(40)]
    assert -0.55 < falling < -0.3
    assert np.quantile(np.abs(even), 0.9) < 0.2


def test_one_run_gone_astray_is_no_trend() -> None:
    y, log_n, size = seeds_of(0.0, 3)
    y[-1] += 0.2
    assert abs(growth_of(y, log_n, size)) < 0.15


def test_without_seeds_there_is_no_growth() -> None:
    assert growth_of(*seeds_of(-0.5, 0, runs=1)) == 0.0


def test_a_size_with_more_seeds_does_not_count_for_more_than_its_luck_allows() -> None:
    rng = np.random.default_rng(2)
    sizes = np.geomspace(3e3, 3e5, 8)
    n = np.concatenate([sizes, np.repeat(sizes[3], 30), np.repeat(sizes[5], 2)])
    luck = dict(zip(sizes, 0.02 * rng.standard_normal(8)))
    shared = np.array([luck[v] for v in n])
    loss = (6 * n**-0.3 + 1.2) * np.exp(shared + 0.001 * rng.standard_normal(len(n)))
    law = fit(n, loss)
    weight = law.weight[n == sizes[3]].sum() / law.weight[n == sizes[0]].sum()
    assert weight < 2
