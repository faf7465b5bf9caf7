"""IsoFLOP minima: found where they lie, and never extrapolated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.surface.isoflop import fit_frontier, isoflop_runs
from tests.fitting.conftest import make_isoflop_records

COMPUTE = np.geomspace(1e16, 1e18, 5)


def parabolas(best_over: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs (n, flops, loss) of seven sizes a compute; the best is `best_over` times the middle."""
    flops, step = (v.ravel() for v in np.meshgrid(COMPUTE, np.geomspace(0.2, 5, 7)))
    middle = 1e7 * (flops / 1e17) ** 0.46
    return step * middle, flops, 2 + 0.05 * np.log(step / best_over) ** 2


def test_minima_and_their_exponent_come_back() -> None:
    frontier = fit_frontier(*parabolas(best_over=1.3))
    assert [curve.flops for curve in frontier.curves] == pytest.approx(COMPUTE)
    wanted = 1.3e7 * (COMPUTE / 1e17) ** 0.46
    assert [curve.n_opt for curve in frontier.curves] == pytest.approx(wanted)
    assert frontier.exponent == pytest.approx(0.46)


def test_the_best_size_and_its_tokens_use_the_compute_up() -> None:
    for curve in fit_frontier(*parabolas(best_over=1.0)).curves:
        assert 6 * curve.n_opt * curve.d_opt == pytest.approx(curve.flops)


def test_a_minimum_beyond_the_sizes_is_left_out() -> None:
    assert fit_frontier(*parabolas(best_over=8.0)).curves == ()


def test_three_sizes_make_no_curve() -> None:
    n, flops, loss = (v[: 3 * len(COMPUTE)] for v in parabolas(best_over=0.3))
    frontier = fit_frontier(n, flops, loss)
    assert frontier.curves == ()
    assert np.isnan(frontier.exponent)


def test_equal_exponents_grow_size_and_data_alike() -> None:
    runs = make_isoflop_records(unique=1e12)
    frontier = fit_frontier(runs["n_params"], runs["flops"], runs["val_loss"])
    assert len(frontier.curves) == 5
    assert frontier.exponent == pytest.approx(0.5, abs=0.05)


def test_a_curve_spans_no_more_than_five_percent_in_all() -> None:
    """A chain of computes, each within 5 % of the next, is no curve and no row of curves."""
    flops = 1e16 * 1.04 ** np.arange(24)
    n = 1e7 * np.tile(np.geomspace(0.2, 5, 6), 4)
    assert isoflop_runs(n, flops) == []
    for runs in isoflop_runs(*parabolas(1.0)[:2]):
        assert np.ptp(np.log(parabolas(1.0)[1][runs])) <= np.log(1.05)


def test_runs_of_like_compute_by_chance_are_no_design() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n, d = 10 ** rng.uniform(6, 8, 40), 10 ** rng.uniform(8, 10, 40)
        assert isoflop_runs(n, 6 * n * d) == []


def test_one_curve_among_other_runs_is_no_design() -> None:
    n, flops, loss = (v[:7] for v in parabolas(best_over=1.0))
    assert fit_frontier(n, flops, loss).curves == ()


def test_seeds_do_not_pass_for_sizes() -> None:
    n, flops, loss = (np.repeat(v.reshape(5, 7)[:, 2:5].ravel(), 3) for v in parabolas(1.0))
    assert fit_frontier(n * np.tile([1, 1.001, 0.999], 15), flops, loss).curves == ()


@settings(max_examples=20)
@given(repeats=st.lists(st.integers(1, 4), min_size=35, max_size=35))
def test_how_often_a_size_was_repeated_moves_no_minimum(repeats: list[int]) -> None:
    once = parabolas(best_over=1.3)
    again = fit_frontier(*(np.repeat(values, repeats) for values in once))
    wanted = [curve.n_opt for curve in fit_frontier(*once).curves]
    assert [curve.n_opt for curve in again.curves] == pytest.approx(wanted)


def test_two_sizes_at_each_compute_are_no_curve() -> None:
    """The table h_tie: whichever of the two is ahead, a minimum is not seen."""
    n = np.concatenate([10 ** (5.5 + k / 4) * np.array([1, 2]) for k in range(7)])
    flops = np.repeat(10 ** (15 + np.arange(7) / 2), 2)
    assert isoflop_runs(n, flops) == []


def test_the_tokens_of_a_minimum_follow_the_flops_that_a_token_takes() -> None:
    for curve in fit_frontier(*parabolas(best_over=1.0), per_token=8.0).curves:
        assert 8 * curve.n_opt * curve.d_opt == pytest.approx(curve.flops)


def test_the_line_through_the_minima_goes_beyond_them() -> None:
    frontier = fit_frontier(*parabolas(best_over=1.0))
    assert float(frontier.optimal_n(1e20)) == pytest.approx(1e7 * 1e3**0.46)
