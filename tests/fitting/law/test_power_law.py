"""Known laws come back, whatever the units; nonsense is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from fitting.law.power_law import FitError, fit

SIZES = np.geomspace(3e3, 3e5, 7)
PILOT_N = np.array([3120, 6224, 13944, 24736, 83280, 147904, 443232])
PILOT_LOSS = np.array([1.489, 1.430, 1.396, 1.362, 1.319, 1.291, 1.282])


@settings(max_examples=40)
@given(
    alpha=st.floats(0.05, 1.0),
    fraction=st.floats(0.05, 0.8),
    level=st.floats(0.5, 8),
    unit=st.floats(1e-3, 1e6),
)
def test_a_law_without_noise_comes_back_in_any_unit(
    alpha: float, fraction: float, level: float, unit: float
) -> None:
    loss = level * ((1 - fraction) * (SIZES / SIZES[0]) ** -alpha + fraction)
    law = fit(SIZES * unit, loss)
    assert law.alpha == pytest.approx(alpha, rel=1e-4)
    assert law.c == pytest.approx(level * fraction, rel=1e-3)
    np.testing.assert_allclose(law.predict(SIZES * unit), loss, rtol=1e-8)


def test_the_fit_is_the_minimum_that_a_general_optimiser_polishes_to() -> None:
    law = fit(PILOT_N, PILOT_LOSS)
    start = [np.log(law.a) * 1.02, law.alpha * 0.95, law.c * 1.01]

    def residuals(p: np.ndarray) -> np.ndarray:
        return np.log(np.exp(p[0]) * PILOT_N ** -p[1] + p[2]) - np.log(PILOT_LOSS)

    other = least_squares(
        residuals,
        start,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        x_scale="jac",
    )
    assert law.gradient < 1e-9
    assert law.alpha == pytest.approx(other.x[1], rel=1e-5)
    assert law.rss == pytest.approx(2 * other.cost, rel=1e-9)


def test_least_squares_on_the_loss_gives_the_pilot_law_known_before() -> None:
    law = fit(PILOT_N, PILOT_LOSS, residual="loss")
    assert law.alpha == pytest.approx(0.303, abs=5e-4)
    assert law.c == pytest.approx(1.217, abs=5e-4)


def test_a_loss_without_floor_is_pressed_against_c_of_zero() -> None:
    law = fit(SIZES, 8 - np.log(SIZES) / 3)
    assert law.bound == "c"
    assert law.c == 0


def test_a_rising_loss_has_no_law() -> None:
    assert fit(SIZES, SIZES**0.1).bound in ("a", "alpha")


@pytest.mark.parametrize(
    ("n", "loss", "expected"),
    [
        ([1, 2, 3], [1, 2], "one length"),
        ([1, 2, 3], [1, 2, float("nan")], "loss nan"),
        ([1, 2, -3], [1, 2, 3], "size -3"),
        ([1, 1, 2], [1, 2, 3], "2 different sizes"),
    ],
)
def test_numbers_that_cannot_be_fitted_are_refused(
    n: list[float], loss: list[float], expected: str
) -> None:
    with pytest.raises(FitError, match=expected):
        fit(n, loss)
