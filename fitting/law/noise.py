"""How far runs scatter about a law, and how well a handful of runs can tell.

Two runs of one size differ by their seeds. What they share, the luck of a shape or of a learning
rate, shows only between sizes. With m runs per size and f the law,

    log L_ij = f(N_i) + u_i + e_ij    var u = g(N)^2 tau^2    var e = g(N)^2 sigma^2

g(N) = N^growth, as far as the seeds show that their spread depends on size. The mean of a size has
variance lambda / m, lambda = sigma^2 + m tau^2. A few sizes say little about lambda, and seeds say
nothing about tau. Testing tau for zero first, and then believing the outcome, makes intervals too
narrow just where it matters. So nothing is tested: tau / sigma has a half-Cauchy prior (Gelman
2006, Bayesian Analysis 1, section 3.2), sigma^2 the usual 1 / sigma^2, and every test and interval
averages over their posterior. Without repeated runs this is exactly the F distribution of the
residuals.

The prior's scale is m^-1/4, by simulation (EXPERIMENTS.md): with m^-1/2, the arcsine distribution
of sigma^2 / lambda, intervals cover .92 where tau equals sigma; with 1 they are wider than those
from the size means alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import fdtr, fdtrc

Array = NDArray[np.float64]

DIGITS = 1e-7
"""Relative noise of every loss: it was computed in single precision, or rounded for print."""
GROWTH_PRIOR = 0.3
"""Prior standard deviation of `growth`. A fall from 1 % to .1 % over a factor of 100 in size is a
growth of -.5."""
SHARES = np.exp(-(np.arange(600) + 0.5) / 25)
"""Values of sigma^2 / lambda at which the posterior is summed, evenly spaced in the logarithm."""


@dataclass(frozen=True)
class Spread:
    """The scatter of runs about a law, on the scale of its weighted residuals."""

    between: float
    """Weighted sum of squares of the size means about the law, each counted once per run."""
    between_dof: int
    """Number of sizes less the parameters of the law."""
    within: float
    """Sum of squares of runs about the mean of their size, over g^2."""
    within_dof: int
    """Number of repeated runs: runs less sizes."""
    runs_a_size: float
    growth: float
    """The standard deviation grows as N to this power; 0 without repeated runs."""
    centre: float
    """log N at which g is 1."""

    @property
    def dof(self) -> int:
        """Degrees of freedom of both sums."""
        return self.between_dof + self.within_dof

    @cached_property
    def _posterior(self) -> tuple[Array, Array]:
        """(shares,) the weight of each share, and lambda at that share."""
        s1 = max(self.between, self.between_dof * DIGITS**2)
        s2 = max(self.within, self.within_dof * DIGITS**2)
        mean_square = (s2 + SHARES * s1) / self.dof
        log = (self.between_dof / 2 + 0.5) * np.log(SHARES) - self.dof / 2 * np.log(mean_square)
        others = 1 - SHARES
        log -= np.log(others) / 2 + np.log(others + np.sqrt(self.runs_a_size) * SHARES)
        weight = np.exp(log - log.max())
        return weight / weight.sum(), mean_square / SHARES

    @property
    def share(self) -> float:
        """Posterior mean of sigma^2 / lambda: 1 where seeds explain all scatter of the sizes."""
        return float(self._posterior[0] @ SHARES)

    @property
    def level(self) -> float:
        """lambda: the variance of a size's mean times its number of runs, where g is 1."""
        weight, level = self._posterior
        return float(np.exp(weight @ np.log(level)))

    def tail(self, explained: float, dof: int) -> float:
        """Probability that noise alone makes so large a sum of squares of `dof` contrasts."""
        weight, level = self._posterior
        return float(weight @ fdtrc(dof, self.dof, max(explained, 0.0) / dof / level))

    def cut(self, probability: float) -> float:
        """The sum of squares that one contrast of noise stays below with this probability."""
        weight, level = self._posterior

        def excess(log_cut: float) -> float:
            return float(weight @ fdtr(1, self.dof, np.exp(log_cut) / level)) - probability

        middle = np.log(self.level)
        return float(np.exp(brentq(excess, middle - 30, middle + 60, xtol=1e-6)))

    def grown(self, n: ArrayLike) -> Array:
        """g at sizes `n`."""
        return np.exp(self.growth * (np.log(np.asarray(n, dtype=float)) - self.centre))

    def of_mean(self, n: ArrayLike, runs: int) -> Array:
        """Variance of the mean of `runs` new runs of size `n`, as a multiple of lambda."""
        one = (1 - self.share) / self.runs_a_size + self.share / runs
        return self.grown(n) ** 2 * one

    def draw(self, rng: np.random.Generator, draws: int) -> tuple[Array, Array]:
        """(draws,) of sigma and (draws,) of tau, from the posterior."""
        weight, level = self._posterior
        at = rng.choice(len(SHARES), draws, p=weight)
        square = level[at] * self.dof / rng.chisquare(self.dof, draws)
        tau_square = square * (1 - SHARES[at]) / self.runs_a_size
        return np.sqrt(square * SHARES[at]), np.sqrt(tau_square)


def growth_of(y: Array, log_n: Array, size: NDArray[np.int64]) -> float:
    """How the spread of seeds grows with size: sd ~ N^growth. 0 without repeated runs.

    `y` (runs,) log losses, `size` (runs,) the number of each run's size. A single
    stray run is not a trend: of the estimates that leave out each size in turn, the one nearest to
    0 is taken.
    """
    count = np.bincount(size)
    square = np.asarray(
        np.bincount(size, (y - (np.bincount(size, y) / count)[size]) ** 2), dtype=float
    )
    x = np.bincount(size, log_n) / count
    dof = count - 1
    repeated = dof > 0
    if repeated.sum() < 3:
        return 0.0
    x, free, squares = x[repeated], dof[repeated].astype(float), square[repeated]
    others = ~np.eye(len(x), dtype=bool)
    found = np.array([_growth(x[rest], free[rest], squares[rest]) for rest in others])
    if found.min() < 0 < found.max():
        return 0.0
    return float(found[np.argmin(np.abs(found))])


def _growth(x: Array, dof: Array, square: Array) -> float:
    """Posterior mode for normally distributed seeds, with their scale integrated out.

    `square` (sizes,) sums of squares of `dof` degrees of freedom at log sizes `x`.
    """
    x = x - dof @ x / dof.sum()
    square = np.maximum(square, dof * DIGITS**2)

    def unlikely(growth: float) -> float:
        scaled = square @ np.exp(-2 * growth * x)
        return float(dof.sum() / 2 * np.log(scaled) + (growth / GROWTH_PRIOR) ** 2 / 2)

    return float(minimize_scalar(unlikely, bounds=(-2.0, 2.0), method="bounded").x)
