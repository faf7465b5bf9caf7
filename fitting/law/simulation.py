"""Simulated sweeps with a known answer: how often intervals cover and the verdict errs.

Sizes span a factor of 100, the smallest has a loss of 3, and noise is relative to the loss.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fitting.law.extrapolation import TENFOLD, extrapolate
from fitting.law.held_out import hold_out_largest, leave_one_out
from fitting.law.intervals import alpha_interval, c_interval
from fitting.law.noise import Array
from fitting.law.power_law import fit
from fitting.law.verdict import judge

Curve = Callable[[Array], Array]
"""Losses as a function of size, relative to the smallest size."""

KINDS = ("base", "between", "falling", "both")
"""Kinds of noise: the same for every run; as much again, shared by the runs of a size; falling
tenfold from the smallest size to the largest; both."""
SMALLEST, LARGEST = 3e3, 3e5
RANGE = LARGEST / SMALLEST


@dataclass(frozen=True)
class Design:
    """What is swept, and with how much noise."""

    sizes: int
    seeds: int
    noise: float
    """Standard deviation between seeds; at the middle size, where it falls with size."""
    kind: str = "base"

    def generator(self, *more: int) -> np.random.Generator:
        """Its own stream of random numbers."""
        kind = KINDS.index(self.kind)
        return np.random.default_rng([*more, kind, self.sizes, self.seeds, int(1e4 * self.noise)])

    def scatter(self, rng: np.random.Generator) -> Array:
        """(runs,) relative noise, sizes ascending and the runs of a size together."""
        size = np.repeat(np.arange(self.sizes), self.seeds)
        grown = np.ones(len(size))
        if self.kind in ("falling", "both"):
            grown = 10 ** (0.5 - size / size.max())
        drawn = rng.standard_normal(len(size))
        if self.kind in ("between", "both"):
            drawn = drawn + rng.standard_normal(self.sizes)[size]
        return self.noise * grown * drawn


@dataclass(frozen=True)
class Outcome:
    """One simulated sweep."""

    word: str
    alpha: bool
    """Whether the interval covers."""
    c: bool
    held_out: bool
    tenfold: bool
    """Whether the interval at ten times the largest size covers, if the same law continues."""
    by_form: bool
    """The same for the interval that allows for other forms."""
    width: float
    """Width of the interval of alpha."""


def simulate(
    curve: Curve,
    design: Design,
    rng: np.random.Generator,
    truth: tuple[float, float] = (np.nan, np.nan),
    diverged: float = 1.0,
) -> Outcome:
    """Draw a sweep from `curve` and judge it; the loss of one random run is times `diverged`."""
    n = np.repeat(np.geomspace(SMALLEST, LARGEST, design.sizes), design.seeds)
    loss = curve(n / SMALLEST) * np.exp(design.scatter(rng))
    loss[rng.integers(len(n))] *= diverged
    law = fit(n, loss)
    alpha, c = alpha_interval(law), c_interval(law)
    held_out = hold_out_largest(law)
    verdict = judge(law, alpha, c, held_out, leave_one_out(law), design.sizes, ())
    beyond = extrapolate(law, TENFOLD * LARGEST)
    later = float(curve(np.array([TENFOLD * RANGE]))[0])
    return Outcome(
        verdict.word,
        truth[0] in alpha,
        truth[1] in c,
        held_out is None or held_out.observed in held_out.interval,
        later in beyond.interval,
        later in beyond.by_form,
        alpha.high - alpha.low,
    )


def power(alpha: float, fraction: float) -> Curve:
    """A true law with loss 3 at the smallest size, of which the share `fraction` is c."""
    return lambda n: 3 * ((1 - fraction) * n**-alpha + fraction)


def broken(first: float, second: float, at: float = 10.0, fraction: float = 0.0) -> Curve:
    """Two power laws that meet at `at` times the smallest size, above one floor."""

    def curve(n: Array) -> Array:
        early, late = n**-first, at**-first * (n / at) ** -second
        return 3 * ((1 - fraction) * np.where(n < at, early, late) + fraction)

    return curve


NOT_LAWS: dict[str, tuple[Curve, float]] = {
    "no trend": (lambda n: np.full_like(n, 3.0), 1.0),
    "rising": (lambda n: 3 * n**0.02, 1.0),
    "logarithmic, steep": (lambda n: 3 - 0.35 * np.log(n), 1.0),
    "logarithmic, gentle": (lambda n: 3 - 0.1 * np.log(n), 1.0),
    "broken, flattening": (broken(0.3, 0.05), 1.0),
    "broken, steepening": (broken(0.05, 0.3), 1.0),
    "broken, then flat": (broken(0.2, 0.0), 1.0),
    "one cell diverged (loss x 1.5)": (power(0.3, 0.4), 1.5),
    "one cell diverged (loss x 3)": (power(0.3, 0.4), 3.0),
}
