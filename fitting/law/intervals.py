"""Intervals around a fitted power law that cover as often as they claim, even with five runs.

Profile likelihood (Bates and Watts 1988, chapter 6): an exponent is accepted if its
best (a, c) leave a residual sum of squares of at most RSS + q, where q is a quantile of one noise
contrast (`fitting.law.noise`; s^2 F(1, dof) without repeated runs). At each such exponent the law
is linear, so the intervals of c, of the law and of a new loss are known exactly; what is reported
is their union over the accepted exponents. Nothing is assumed symmetric, and an interval that the
data leave open is open. Student-t intervals from the Jacobian are given for comparison.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import t as t_distribution

from fitting.law.power_law import ALPHA_MAX, ALPHA_MIN, Array, PowerLaw, Slices, solve

SLICES = 97


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`; an end that the data leave open is 0 or infinity."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"[{self.low:.3g}, {self.high:.3g}]"


def alpha_interval(law: PowerLaw, level: float = 0.95) -> Interval:
    """Profile interval of alpha."""
    low, high = _alpha_range(law, level)
    return Interval(0.0 if low <= ALPHA_MIN else low, np.inf if high >= ALPHA_MAX else high)


def c_interval(law: PowerLaw, level: float = 0.95) -> Interval:
    """Profile interval of c, nats per token."""
    low, high = law_band(law, np.array([np.inf]), level)
    return Interval(float(low[0]), float(high[0]))


def law_band(law: PowerLaw, n: ArrayLike, level: float = 0.95) -> tuple[Array, Array]:
    """Profile interval of the law at each size in `n` (m,): two arrays (m,), low and high."""
    return _band(law, np.asarray(n, dtype=float), level, new_runs=0)


def prediction_interval(
    law: PowerLaw, n: float, level: float = 0.95, *, new_runs: int = 1
) -> Interval:
    """Interval for the mean loss of `new_runs` new runs of size `n`."""
    low, high = _band(law, np.array([float(n)]), level, new_runs=new_runs)
    return Interval(float(low[0]), float(high[0]))


def with_sampling_error(interval: Interval, value: float, error: float) -> Interval:
    """The interval of an absolute loss or of c, widened by the validation set's sampling error.

    `error` is one standard error. All sizes are measured on the same pieces and share it: it
    moves every loss and c alike, but no exponent and no difference between sizes.
    """
    if not error > 0:
        return interval
    half = 1.96 * error
    return Interval(
        max(0.0, value - float(np.hypot(value - interval.low, half))),
        value + float(np.hypot(interval.high - value, half)),
    )


def student_t(law: PowerLaw, level: float = 0.95) -> tuple[Interval, Interval]:
    """Intervals of alpha and of c from the Jacobian and Student's t with `law.dof`."""
    scale = np.exp(np.log(law.n).mean())
    basis = (law.n / scale) ** -law.alpha
    b = law.a * scale**-law.alpha
    jacobian = np.stack([basis, -b * basis * np.log(law.n / scale), np.ones_like(basis)], axis=1)
    if law.c <= 0:
        jacobian = jacobian[:, :2]
    covariance = np.linalg.pinv(jacobian.T @ (law.pass_weight[:, None] * jacobian))
    t = t_distribution.ppf((1 + level) / 2, law.dof)
    half = t * np.sqrt(law.spread.level * np.diag(covariance))
    half_c = half[2] if law.c > 0 else 0.0
    return (
        Interval(law.alpha - half[1], law.alpha + half[1]),
        Interval(law.c - half_c, law.c + half_c),
    )


def _cut(law: PowerLaw, level: float) -> float:
    return law.rss + law.spread.cut(level)


def _slices(law: PowerLaw, alpha: Array) -> Slices:
    scale = np.exp(np.log(law.n).mean())
    return solve(law.n / scale, law.pass_z, law.pass_weight, alpha)


def _alpha_range(law: PowerLaw, level: float) -> tuple[float, float]:
    """The range of exponents whose profile lies below the cut, clipped to the search range."""
    if law.dof < 1:
        return ALPHA_MIN, ALPHA_MAX
    cut = _cut(law, level)
    grid = np.union1d(np.geomspace(ALPHA_MIN, ALPHA_MAX, SLICES), law.alpha)
    inside = np.flatnonzero((_slices(law, grid).rss <= cut) | (grid == law.alpha))

    def excess(alpha: float) -> float:
        return float(_slices(law, np.array([alpha])).rss[0]) - cut

    def end(inner: int, outer: int) -> float:
        if not 0 <= outer < len(grid):
            return float(grid[inner])
        return float(brentq(excess, grid[inner], grid[outer], xtol=1e-9))

    return end(inside[0], inside[0] - 1), end(inside[-1], inside[-1] + 1)


def _band(law: PowerLaw, n: Array, level: float, *, new_runs: int) -> tuple[Array, Array]:
    """Union over the accepted exponents of the exact interval of b x + c, a and c at least 0.

    A run not yet made adds its own noise to the variance. Where the far end of the ellipse of
    (b, c) lies at a negative c, the end is sought along c = 0 instead.
    """
    if law.dof < 1:
        return np.zeros_like(n), np.full_like(n, np.inf)
    cut = _cut(law, level)
    low_alpha, high_alpha = _alpha_range(law, level)
    s = _slices(law, np.union1d(np.geomspace(low_alpha, high_alpha, SLICES), law.alpha))
    scale = np.exp(np.log(law.n).mean())
    x = (n[:, None] / scale) ** -s.alpha
    own = np.zeros((len(n), 1))
    if new_runs:
        own[:, 0] = law.spread.of_mean(n, new_runs)
        if law.residual == "log":
            own[:, 0] *= law.predict(n) ** 2
    spread = x**2 * s.v_bb + 2 * x * s.v_bc + s.v_cc
    room = np.sqrt(np.maximum(cut - s.rss_free, 0) / (spread + own))
    reach = room * (spread + own)
    pull_c = room * (x * s.v_bc + s.v_cc)
    zero_spread = x**2 * s.v_at_zero_c + own
    zero_room = cut - s.rss_at_zero_c
    zero_reach = np.sqrt(np.maximum(zero_room, 0) * zero_spread)
    ends = []
    for sign, worst in ((-1.0, np.inf), (1.0, -np.inf)):
        free = s.b_free * x + s.c_free + sign * reach
        at_zero = np.where(zero_room >= 0, s.b_at_zero_c * x + sign * zero_reach, worst)
        usable = (s.c_free + sign * pull_c >= 0) & (s.rss_free <= cut)
        value = np.where(usable, free, at_zero)
        ends.append(value.min(axis=1) if sign < 0 else value.max(axis=1))
    return np.maximum(ends[0], 0.0), ends[1]
