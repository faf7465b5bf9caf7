"""The noise about a surface: seeds and misfit, and the one that leaves more room."""

import numpy as np
import pytest

from fitting.surface.noise import EXACT, Noise, cells, noise_of

CELLS = 24


def residuals(shared: float, own: float, seeds: int, seed: int = 0) -> tuple[np.ndarray, Noise]:
    rng = np.random.default_rng(seed)
    cell = np.repeat(np.arange(CELLS), seeds)
    found = shared * rng.standard_normal(CELLS)[cell] + own * rng.standard_normal(len(cell))
    return found, noise_of(found, cell)


def test_sizes_and_budgets_that_hardly_differ_are_one_cell() -> None:
    n = np.array([1e6, 1.003e6, 1e6, 2e6])
    d = np.array([1e9, 1.01e9, 1.1e9, 1e9])
    number = cells(n, d)
    assert number[0] == number[1]
    assert len(set(number)) == 3


def test_an_error_that_seeds_share_counts_and_does_not_average_out() -> None:
    _, noise = residuals(shared=0.01, own=0.001, seeds=4)
    assert noise.leading == (noise.misfit, noise.misfit_dof)
    assert noise.of_a_run == pytest.approx(0.01, rel=0.5)
    assert float(noise.of_mean(1000)) == pytest.approx(noise.of_a_run**2, rel=0.05)


def test_seeds_that_share_nothing_are_pooled_with_the_misfit() -> None:
    noise = Noise(pure=1e-4, pure_dof=72, misfit=0.5e-4, misfit_dof=19, repeats=4)
    assert noise.leading == (noise.pooled, noise.misfit_dof + noise.pure_dof)
    assert float(noise.of_mean(100)) == pytest.approx(noise.pooled / 100)


def test_all_squares_are_accounted_for() -> None:
    found, noise = residuals(shared=0.005, own=0.005, seeds=3)
    total = noise.pure * noise.pure_dof + noise.misfit * noise.misfit_dof
    assert total == pytest.approx(float(found @ found))


def test_single_runs_leave_the_noise_to_the_surface() -> None:
    _, noise = residuals(shared=0.0, own=0.01, seeds=1)
    assert np.isnan(noise.pure)
    assert noise.misfit_p() == 1.0
    assert noise.of_a_run == pytest.approx(np.sqrt(noise.misfit))


def test_losses_without_noise_still_leave_room_for_their_last_digit() -> None:
    assert noise_of(np.zeros(CELLS), np.arange(CELLS)).excess() > EXACT**2
