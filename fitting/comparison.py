"""Two architectures against each other: exponents, losses at equal cost, where the curves cross.

Intervals are percentiles of a parametric bootstrap: each law gets new normal noise and is fitted
again. How large the noise is, a handful of runs says only roughly: each draw has a size of its own,
spread about the one seen as chi-squared says. Runs are never resampled, for a handful cannot be.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from fitting.axis import AXES
from fitting.intervals import Interval
from fitting.power_law import Array, PowerLaw
from fitting.refit import refit

DRAWS = 400


@dataclass(frozen=True)
class Comparison:
    """`first` against `second`, which share an axis: parameters or FLOPs. Intervals are 95 %."""

    first: str
    second: str
    axis: str
    alpha_difference: float
    """alpha of the first minus alpha of the second."""
    alpha_interval: Interval
    at: float
    """The largest cost that both architectures reached."""
    loss_difference: float
    """Loss of the first minus loss of the second at that cost, nats per token."""
    loss_interval: Interval
    multiplier: float
    """Cost the first needs to reach the loss of the second at `at`, over `at`; inf if never."""
    multiplier_interval: Interval
    crossing: float | None
    """Cost within the range of both at which the laws are equal; None if there is none."""

    def sentence(self) -> str:
        """What a reader takes away."""
        axis = AXES[self.axis]
        at = axis.amount(self.at)
        low, high = self.loss_interval.low, self.loss_interval.high
        if low > 0 or high < 0:
            better, worse = (self.first, self.second) if high < 0 else (self.second, self.first)
            ends = sorted((abs(low), abs(high)))
            said = (
                f"At {at} {better} is ahead of {worse} by "
                f"{abs(self.loss_difference):.3f} nats per token [{ends[0]:.3f}, {ends[1]:.3f}]."
            )
        else:
            said = f"At {at} neither {self.first} nor {self.second} is ahead."
        if self.crossing is not None:
            said += f" The fitted curves cross at {axis.amount(self.crossing)}."
        return said


def compare(
    first: str, first_law: PowerLaw, second: str, second_law: PowerLaw, axis: str, seed: int = 0
) -> Comparison | None:
    """Compare two laws over one axis; None where their ranges do not overlap."""
    low = max(first_law.n.min(), second_law.n.min())
    at = float(min(first_law.n.max(), second_law.n.max()))
    if low >= at or not all(law.dof >= 1 and law.a > 0 for law in (first_law, second_law)):
        return None
    rng = np.random.default_rng(seed)
    pairs = list(zip(_draws(first_law, rng), _draws(second_law, rng)))
    point = _contrast(np.array(_parameters(first_law)), np.array(_parameters(second_law)), at)
    draws = np.array([_contrast(one, two, at) for one, two in pairs])
    ends = np.quantile(draws, [0.025, 0.975], axis=0, method="nearest")
    intervals = [Interval(float(ends[0, i]), float(ends[1, i])) for i in range(3)]
    return Comparison(
        first,
        second,
        axis,
        float(point[0]),
        intervals[0],
        at,
        float(point[1]),
        intervals[1],
        float(point[2]),
        intervals[2],
        _crossing(first_law, second_law, low, at),
    )


def _parameters(law: PowerLaw) -> tuple[float, float, float]:
    return law.a, law.alpha, law.c


def _draws(law: PowerLaw, rng: np.random.Generator) -> Array:
    """(DRAWS, 3) of a, alpha, c refitted to the law with new noise."""
    size = law.noise * np.sqrt(law.dof / rng.chisquare(law.dof, (DRAWS, 1)))
    noise = size * rng.standard_normal((DRAWS, len(law.n)))
    return refit(law, law.predict(law.n) * np.exp(noise))


def _contrast(one: Array, two: Array, at: float) -> Array:
    """(3,) difference of exponents, of losses at `at`, and the multiplier."""
    loss = [a * at**-alpha + c for a, alpha, c in (one, two)]
    a, alpha, c = one
    reachable = loss[1] > c and a > 0
    # In logarithms: a weak draw can put the cost beyond what a float holds.
    log_cost = np.log(a / (loss[1] - c)) / alpha - np.log(at) if reachable else np.inf
    return np.array([one[1] - two[1], loss[0] - loss[1], np.exp(min(log_cost, 700))])


def _crossing(first: PowerLaw, second: PowerLaw, low: float, high: float) -> float | None:
    def gap(log_n: float) -> float:
        return float(first.predict(np.exp(log_n)) - second.predict(np.exp(log_n)))

    grid = np.linspace(np.log(low), np.log(high), 200)
    signs = np.sign([gap(v) for v in grid])
    changes = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    if not len(changes):
        return None
    k = int(changes[-1])
    return float(np.exp(brentq(gap, grid[k], grid[k + 1])))
