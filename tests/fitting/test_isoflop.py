"""IsoFLOP minima: found where they lie, and never extrapolated."""

import numpy as np
import pytest

from fitting.isoflop import fit_frontier
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
