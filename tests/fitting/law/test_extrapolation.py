"""Beyond the range: what holds if the law goes on, and what holds if it only slows down."""

import numpy as np
import pytest

from fitting.law.extrapolation import TENFOLD, extrapolate
from fitting.law.power_law import PowerLaw, fit

N = np.repeat(np.geomspace(3e3, 3e5, 8), 3)


def law(noise: float = 0.003) -> PowerLaw:
    rng = np.random.default_rng(4)
    return fit(N, (6 * N**-0.3 + 1.2) * np.exp(noise * rng.standard_normal(len(N))))


def test_the_law_is_read_at_ten_times_the_largest_size() -> None:
    found = extrapolate(law(), TENFOLD * N.max())
    assert found.n == TENFOLD * N.max()
    assert found.then in found.interval
    assert 6 * found.n**-0.3 + 1.2 in found.interval
    assert found.then < found.now


@pytest.mark.parametrize("later", [0.0, 0.05, 0.15, 0.3])
def test_any_pace_that_does_not_quicken_lies_within_the_wider_interval(later: float) -> None:
    largest = N.max()
    loss = 1.2 + 6 * largest**-0.3 * TENFOLD**-later
    found = extrapolate(law(), TENFOLD * N.max())
    assert loss in found.by_form
    assert found.by_form.low <= found.interval.low
    assert found.by_form.high >= found.interval.high


def test_the_error_of_the_validation_set_widens_both_once() -> None:
    without, error = (extrapolate(law(), TENFOLD * N.max(), se) for se in (0.0, 0.05))
    assert error.interval.high - error.then > 1.96 * 0.05
    assert error.interval.high < without.interval.high + 1.96 * 0.05
    assert error.then == without.then
