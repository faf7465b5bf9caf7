"""Intervals of a surface: nested, closed where the runs close them, and right where checked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.surface.fit import Surface, fit_surface
from fitting.surface.held_out import predict, surface_noise
from fitting.surface.region import region
from fitting.surface.tangent import drift

N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e6, 1e8, 5), np.geomspace(1e8, 1e10, 4)))


def noisy(seed: int, noise: float = 0.005) -> Surface:
    rng = np.random.default_rng(seed)
    loss = 1.5 + (N / 1e7) ** -0.3 + (D / 1e9) ** -0.4
    return fit_surface(N, D, loss * np.exp(noise * rng.standard_normal(len(N))), delta=None)


def squares(surface: Surface, alpha: float, beta: float) -> float:
    """Least squares of log loss at two exponents, by brute force."""
    columns = np.stack([N**-alpha / N.mean() ** -alpha, D**-beta / D.mean() ** -beta], axis=1)
    columns = np.column_stack([columns, np.ones(len(N))])
    fitted = surface.predict(N, D)
    z, root = fitted * (1 + np.log(surface.loss / fitted)), 1 / fitted
    solution = np.linalg.lstsq(columns * root[:, None], z * root, rcond=None)[0]
    return float((((z - columns @ solution) * root) ** 2).sum())


def test_the_ends_lie_where_the_profile_crosses_the_cut() -> None:
    surface = noisy(0)
    excess = surface_noise(surface).excess()
    found = region(surface, excess)
    cut = 2 * surface.objective + excess
    betas = surface.beta + np.linspace(-0.1, 0.1, 401)
    for end in (found.alpha_interval().low, found.alpha_interval().high):
        least = min(squares(surface, end, beta) for beta in betas)
        assert least - 2 * surface.objective == pytest.approx(cut - 2 * surface.objective, rel=0.02)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), noise=st.floats(0.001, 0.01))
def test_a_higher_level_makes_every_interval_wider(seed: int, noise: float) -> None:
    surface = noisy(seed, noise)
    noise_about = surface_noise(surface)
    inner, outer = (region(surface, noise_about.excess(level)) for level in (0.8, 0.99))
    pairs = [
        (inner.alpha_interval(), outer.alpha_interval()),
        (inner.beta_interval(), outer.beta_interval()),
        (inner.floor_interval(), outer.floor_interval()),
        (inner.scale_interval(0), outer.scale_interval(0)),
        (inner.scale_interval(1), outer.scale_interval(1)),
        (inner.optimal_exponent_interval(), outer.optimal_exponent_interval()),
        (inner.optimal_n_interval(1e18), outer.optimal_n_interval(1e18)),
    ]
    assert all(b.low <= a.low and a.high <= b.high for a, b in pairs)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_every_interval_holds_what_it_is_of(seed: int) -> None:
    surface = noisy(seed)
    found = region(surface, surface_noise(surface).excess())
    assert surface.alpha in found.alpha_interval()
    assert surface.beta in found.beta_interval()
    assert surface.E in found.floor_interval()
    assert surface.A in found.scale_interval(0)
    assert surface.B in found.scale_interval(1)
    assert surface.optimal_exponent in found.optimal_exponent_interval()
    assert float(surface.optimal_n(1e19)) in found.optimal_n_interval(1e19)
    low, high = found.loss_interval([3e8], [1e11], [0.0])
    assert low[0] <= float(surface.predict(3e8, 1e11)) <= high[0]


def test_the_unit_of_parameters_and_tokens_changes_no_exponent() -> None:
    surface = noisy(1)
    again = fit_surface(N / 1e6, D / 1e9, surface.loss, delta=None)
    ends = [region(s, surface_noise(s).excess()).alpha_interval() for s in (surface, again)]
    assert (ends[0].low, ends[0].high) == pytest.approx((ends[1].low, ends[1].high), rel=1e-4)


def test_tokens_that_follow_the_size_leave_the_exponents_undetermined() -> None:
    n = np.geomspace(1e6, 1e8, 20)
    rng = np.random.default_rng(0)
    loss = 1.5 + (n / 1e7) ** -0.3 + (20 * n / 1e9) ** -0.4
    surface = fit_surface(n, 20 * n, loss * np.exp(0.005 * rng.standard_normal(20)), delta=None)
    found = region(surface, surface_noise(surface).excess())
    alpha, beta = found.alpha_interval(), found.beta_interval()
    assert alpha.high > 5 * alpha.low or beta.high > 5 * beta.low


def test_a_prediction_is_less_sure_the_further_it_goes_and_the_fewer_its_runs() -> None:
    surface = noisy(2)
    noise = surface_noise(surface)
    far = np.array([1.0, 3.0, 10.0, 100.0])
    low, high = predict(surface, noise, 1e8 * far, 1e10 * far)
    assert np.all(np.diff((high - low) / surface.predict(1e8 * far, 1e10 * far)) > 0)
    one, many = (predict(surface, noise, [1e8], [1e10], runs=runs) for runs in (1, 100))
    assert many[1] - many[0] < one[1] - one[0]


def test_drift_is_small_among_the_runs_and_grows_beyond_them() -> None:
    surface = noisy(3)
    within = drift(surface, N, D)
    assert within.mean() < surface_noise(surface).of_mean(1)
    beyond = drift(surface, 1e8 * np.array([2.0, 4.0, 8.0]), 1e10 * np.array([2.0, 4.0, 8.0]))
    assert np.all(np.diff(beyond) > 0)
    assert beyond[-1] > within.max()
