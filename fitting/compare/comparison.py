"""Two architectures against each other: exponents, losses at equal cost, where the curves cross.

Intervals are percentiles of a parametric bootstrap: each law gets new normal noise and is fitted
again. A handful of runs tells the size of the noise only roughly, so each draw takes its own size
from what the runs leave plausible (`fitting.law.noise`). Runs are never resampled: there are too
few of them.

Only comparable runs are compared: at equal parameters, those of equal token budgets. Of many pairs
some differ by chance: with P of them, each interval is widened so that all P hold together 95 times
in 100 (Bonferroni).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as t_distribution

from fitting.law.intervals import Interval
from fitting.law.noise import Array
from fitting.law.power_law import PowerLaw
from fitting.law.refit import refit
from fitting.runs.axis import AXES
from fitting.runs.groups import SAME_SIZE, groups
from fitting.runs.loss import PER_TOKEN

DRAWS = 400
MEASURED = 0.03
"""Sizes within this fraction of each other share a name (`trainers.ladder.TOLERANCE`)."""


@dataclass(frozen=True)
class Crossing:
    """Where two laws cross and differ significantly on each side."""

    at: float
    interval: Interval


@dataclass(frozen=True)
class Comparison:
    """`first` against `second`, which share an axis: parameters or FLOPs.

    Intervals hold at 95 % for all the pairs of a report together.
    """

    first: str
    second: str
    axis: str
    unit: str
    """Unit of the losses, in words."""
    alpha_difference: float
    """alpha of the first minus alpha of the second."""
    alpha_interval: Interval
    at: float
    """The largest cost that both architectures reached."""
    loss_difference: float
    """Loss of the first minus loss of the second at that cost."""
    loss_interval: Interval
    multiplier: float
    """Cost at which the first reaches the second's loss at `at`, relative to `at`; inf if never."""
    multiplier_interval: Interval
    crossing: Crossing | None
    """Within the range of both; None unless the laws differ significantly on each side."""
    interpolated: tuple[str, ...]
    """Architectures without a run at `at`, whose law is interpolated there."""
    also: tuple[str, ...]
    """Settings in which the two also differ."""

    def sentence(self) -> str:
        """The comparison in words."""
        axis = AXES[self.axis]
        at = axis.amount(self.at)
        low, high = self.loss_interval.low, self.loss_interval.high
        other_tokens = self.axis == "flops" and any(name.startswith("tokens") for name in self.also)
        if (low > 0 or high < 0) and other_tokens:
            better = self.first if high < 0 else self.second
            ends = sorted((abs(low), abs(high)))
            return (
                f"At {at}, as they were trained, the runs of {better} have the lower loss, by "
                f"{abs(self.loss_difference):.3f} {self.unit} [{ends[0]:.3f}, {ends[1]:.3f}]. They "
                f"differ in {', '.join(self.also)}: the cause may be the budget, not the "
                "architecture."
            )
        if low > 0 or high < 0:
            better, worse = (self.first, self.second) if high < 0 else (self.second, self.first)
            ends = sorted((abs(low), abs(high)))
            said = (
                f"At {at} {better} is ahead of {worse} by "
                f"{abs(self.loss_difference):.3f} {self.unit} [{ends[0]:.3f}, {ends[1]:.3f}]."
            )
        else:
            said = (
                f"At {at} {self.first} and {self.second} cannot be told apart: the difference is "
                f"{self.loss_difference:+.3f} {self.unit} [{low:+.3f}, {high:+.3f}]."
            )
        if self.crossing is not None:
            between = self.crossing.interval
            said += (
                f" The fitted curves cross at {axis.amount(self.crossing.at)} (between "
                f"{axis.amount(between.low)} and {axis.amount(between.high)})."
            )
        if self.interpolated:
            said += f" {' and '.join(self.interpolated)}: interpolated, with no run there."
        if self.also:
            said += f" They also differ in {', '.join(self.also)}."
        return said


@dataclass(frozen=True)
class NotCompared:
    """A pair that is not compared, and why."""

    first: str
    second: str
    reason: str

    def sentence(self) -> str:
        """The comparison in words."""
        return f"{self.first} and {self.second} are not compared: {self.reason}."


def compare(
    first: str,
    first_law: PowerLaw,
    second: str,
    second_law: PowerLaw,
    axis: str,
    *,
    unit: str = PER_TOKEN,
    pairs: int = 1,
    draws: tuple[Array, Array] | None = None,
    also: tuple[str, ...] = (),
) -> Comparison | None:
    """Compare two laws over one axis; None where their ranges do not overlap.

    `pairs`: how many pairs are compared in all. `draws`: of both laws, by `drawn_laws`; made here
    if not given.
    """
    low = max(first_law.n.min(), second_law.n.min())
    at = float(min(first_law.n.max(), second_law.n.max()))
    if low >= at or not all(law.dof >= 1 and law.a > 0 for law in (first_law, second_law)):
        return None
    one, two = draws or (drawn_laws(first_law, 0), drawn_laws(second_law, 1))
    dof = min(first_law.dof, second_law.dof)
    wider = float(t_distribution.isf(0.025 / pairs, dof) / t_distribution.isf(0.025, dof))

    def told(of_laws: Array, point: float) -> Interval:
        ends = np.quantile(of_laws, [0.025, 0.975], method="nearest")
        return Interval(*(float(point + wider * (end - point)) for end in ends))

    def gap(cost: float) -> tuple[float, Interval]:
        point = float(first_law.predict(cost) - second_law.predict(cost))
        return point, told(_losses(one, cost) - _losses(two, cost), point)

    difference, interval = gap(at)
    log_cost = _log_multiplier(_parameters(first_law)[None], _parameters(second_law)[None], at)[0]
    costs = told(_log_multiplier(one, two, at), float(log_cost))
    crossing = None
    if _opposite(gap(low)[1], interval):
        crossing = _crossing(first_law, second_law, one, two, low, at, wider)
    laws = {first: first_law, second: second_law}
    far = [name for name, law in laws.items() if np.abs(law.n / at - 1).min() > MEASURED]
    alphas = first_law.alpha - second_law.alpha
    return Comparison(
        first,
        second,
        axis,
        unit,
        alphas,
        told(one[:, 1] - two[:, 1], alphas),
        at,
        difference,
        interval,
        float(np.exp(min(log_cost, 700))),
        Interval(*(float(np.exp(min(end, 700))) for end in (costs.low, costs.high))),
        crossing,
        tuple(far),
        also,
    )


def drawn_laws(law: PowerLaw, seed: int) -> Array:
    """(DRAWS, 3) of a, alpha, c, refitted to the law with new noise."""
    rng = np.random.default_rng(seed)
    sigma, tau = law.spread.draw(rng, DRAWS)
    size = groups(law.n, SAME_SIZE)
    shared = rng.standard_normal((DRAWS, size.max() + 1))[:, size]
    own = rng.standard_normal((DRAWS, len(law.n)))
    noise = law.spread.grown(law.n) * (sigma[:, None] * own + tau[:, None] * shared)
    return refit(law, law.predict(law.n) * np.exp(noise), np.tile(law.weight, (DRAWS, 1)))


def _parameters(law: PowerLaw) -> Array:
    return np.array([law.a, law.alpha, law.c])


def _losses(laws: Array, cost: float) -> Array:
    """(draws,) losses of laws (draws, 3) at one cost."""
    a, alpha, c = laws.T
    return a * cost**-alpha + c


def _log_multiplier(one: Array, two: Array, at: float) -> Array:
    """(draws,) log of the cost at which the first reaches the second's loss at `at`, over `at`."""
    a, alpha, c = one.T
    above = _losses(two, at) - c
    reachable = (above > 0) & (a > 0)
    # In logarithms, because a poorly determined draw can overflow a float.
    logs = np.log(np.where(reachable, a, 1.0)) - np.log(np.where(reachable, above, 1.0))
    return np.where(reachable, logs / alpha - np.log(at), 1e3)


def _opposite(one: Interval, two: Interval) -> bool:
    return (one.high < 0 < two.low) or (two.high < 0 < one.low)


def _crossing(
    first: PowerLaw,
    second: PowerLaw,
    one: Array,
    two: Array,
    low: float,
    high: float,
    wider: float,
) -> Crossing | None:
    def gap(log_n: float) -> float:
        return float(first.predict(np.exp(log_n)) - second.predict(np.exp(log_n)))

    grid = np.linspace(np.log(low), np.log(high), 200)
    change = np.flatnonzero(np.diff(np.sign([gap(v) for v in grid])))
    if not len(change):
        return None
    at = brentq(gap, grid[change[-1]], grid[change[-1] + 1])
    signs = np.sign([_losses(one, n) - _losses(two, n) for n in np.exp(grid)])
    # The last change of sign in each draw; a draw without one crosses beyond the range.
    changes = np.diff(signs, axis=0) != 0
    last = len(grid) - 2 - np.argmax(changes[::-1], axis=0)
    where = np.where(changes.any(axis=0), grid[last], grid[-1])
    ends = at + wider * (np.quantile(where, [0.025, 0.975]) - at)
    return Crossing(float(np.exp(at)), Interval(*(float(end) for end in np.exp(ends))))
