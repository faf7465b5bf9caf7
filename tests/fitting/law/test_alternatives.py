"""The same runs by other rules: the floor earns its place, and Huber's loss bears an outlier."""

import numpy as np
import pytest

from fitting.law.alternatives import Alternatives, aicc, alternatives
from fitting.law.power_law import Array, fit

N = np.repeat(np.geomspace(1e4, 1e7, 8), 3)


def losses(c: float, noise: float = 0.005) -> Array:
    """8 N^-0.2 + c at N, with `noise` relative."""
    draws = np.random.default_rng(5).standard_normal(len(N))
    return (8 * N**-0.2 + c) * np.exp(noise * draws)


def test_without_a_floor_none_is_preferred() -> None:
    found = alternatives(fit(N, losses(c=0)))
    assert found.aicc_gain < 0
    assert found.alpha_no_floor == pytest.approx(0.2, abs=0.01)
    assert not found.sentence().startswith("The floor c is needed")


def test_a_large_floor_is_needed() -> None:
    found = alternatives(fit(N, losses(c=2)))
    assert found.aicc_gain > 20
    assert found.sentence().startswith("The floor c is needed")


def test_one_outlier_moves_huber_less_than_least_squares() -> None:
    loss = losses(c=1, noise=0.001)
    loss[-1] *= 1.1
    law = fit(N, loss)
    found = alternatives(law)
    assert abs(found.alpha_huber - 0.2) < 0.01
    assert abs(found.alpha_huber - 0.2) < 0.3 * abs(law.alpha - 0.2)


def test_four_runs_are_too_few_to_ask_about_the_floor() -> None:
    found = alternatives(fit(N[::6], losses(c=1)[::6]))
    assert found.aicc_gain == -np.inf
    assert found.sentence() == "4 runs are too few to ask whether the floor c is needed."


@pytest.mark.parametrize(("runs", "warned"), [(6, True), (8, False)])
def test_with_six_runs_the_penalty_is_said_to_decide(runs: int, warned: bool) -> None:
    every = len(N) // runs
    said = alternatives(fit(N[::every][:runs], losses(c=1)[::every][:runs])).sentence()
    assert ("AICc's penalty for a third parameter (30)" in said) == warned


def test_a_floor_that_outweighs_its_penalty_is_not_doubted() -> None:
    needed = Alternatives(1, 0.2, 9, 1, 0.2, 0.1, runs=6)
    assert needed.sentence() == "The floor c is needed: AICc 9.0 better with it."


def test_a_small_difference_prefers_neither() -> None:
    tied = Alternatives(1, 0.2, 0.5, 1, 0.2, 0.1, runs=20)
    assert tied.sentence().startswith("With or without the floor c: AICc differs by 0.5")


def test_aicc_is_that_of_hurvich_and_tsai() -> None:
    assert aicc(2.0, 10, 2) == pytest.approx(10 * np.log(0.2) + 6 + 24 / 6)
    assert aicc(1.0, 4, 2) == np.inf
