"""L(N) = a N^-alpha + c: one law through the losses of one architecture.

For a given alpha the law is linear in a and c, which are then solved exactly: the search is over
alpha alone, on a grid wide enough to see every minimum, and ends at a root of the gradient. So no
starting point has to be guessed, and no optimiser's success flag has to be believed.

Residuals are those of the logarithm of the loss (relative errors, as in Hoffmann et al. 2022,
section 3.3). They are made linear in a and c by Gauss-Newton passes: a pass fits
z = f (1 + log(L / f)) with weights 1 / f^2, where f are the values fitted by the previous pass. At
its fixed point the gradient of the sum of squared log residuals is zero, and `gradient` says how
nearly it was reached.

Runs are weighted by how much they scatter, as far as their seeds tell (`fitting.law.noise`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from fitting.law.noise import DIGITS, Array, Spread, growth_of
from fitting.runs.groups import SAME_SIZE, groups

Residual = Literal["log", "loss"]

ALPHA_MIN, ALPHA_MAX = 1e-3, 5.0
GRID = np.geomspace(ALPHA_MIN, ALPHA_MAX, 161)
MAX_PASSES = 60
GRADIENT_TOLERANCE = 1e-7


class FitError(ValueError):
    """The numbers given cannot be fitted at all: too few, not finite or not positive."""


@dataclass(frozen=True)
class PowerLaw:
    """A fitted law, with what its intervals are computed from."""

    a: float
    alpha: float
    c: float
    n: Array
    """(runs,) sizes, in the unit in which `a` holds."""
    loss: Array
    """(runs,) losses, nats per token."""
    weight: Array
    """(runs,) weight of a squared residual; 1 / g(N)^2 where all sizes have equally many runs."""
    spread: Spread
    """How far runs scatter about the law."""
    rss: float
    """Weighted sum of squared residuals, of log loss or of loss as `residual` says."""
    gradient: float
    """Largest cosine between residuals and d fit / d (log a, alpha, log c): 0 at the minimum."""
    residual: Residual
    pass_z: Array
    pass_weight: Array
    """(runs,) the linearised losses of the last pass, and `weight` over the square of its fitted
    values: the likelihood profile is computed from these."""

    @property
    def converged(self) -> bool:
        """Whether the gradient vanishes in every direction that no bound blocks."""
        return self.gradient < GRADIENT_TOLERANCE

    @property
    def bound(self) -> str:
        """The parameter that is at its bound: "alpha", "c" or "a"; "" if none is."""
        if not ALPHA_MIN * 1.01 < self.alpha < ALPHA_MAX * 0.99:
            return "alpha"
        return "a" if self.a <= 0 else "c" if self.c <= 0 else ""

    @property
    def n_parameters(self) -> int:
        """Number of fitted parameters: 3, even where c is at its bound of 0."""
        return 3

    @property
    def dof(self) -> int:
        """Degrees of freedom left for the noise."""
        return len(self.n) - self.n_parameters

    @property
    def noise(self) -> float:
        """Standard deviation of one run about the law (relative, for log residuals)."""
        return float(np.sqrt(self.rss / self.dof)) if self.dof > 0 else float("nan")

    def predict(self, n: ArrayLike) -> Array:
        """Loss at the sizes `n`, of any shape."""
        return self.a * np.asarray(n, dtype=float) ** -self.alpha + self.c

    def residuals(self) -> Array:
        """(runs,) log loss (or loss) minus the law."""
        return _residuals(self.loss, self.predict(self.n), self.residual)


@dataclass(frozen=True)
class Slices:
    """The weighted linear problem in (b, c) at each of k exponents; b = a * scale^-alpha.

    All arrays are (k,). The `free` ones ignore the constraint that a and c are at least 0.
    """

    alpha: Array
    b: Array
    c: Array
    rss: Array
    b_free: Array
    c_free: Array
    rss_free: Array
    v_bb: Array
    v_bc: Array
    v_cc: Array
    """Covariance of (b_free, c_free) for unit noise."""
    b_at_zero_c: Array
    rss_at_zero_c: Array
    v_at_zero_c: Array


def fit(n: ArrayLike, loss: ArrayLike, *, residual: Residual = "log") -> PowerLaw:
    """Fit L(N) = a N^-alpha + c, a and c at least 0, by least squares.

    `n` (sizes, tokens or FLOPs) and `loss`: (runs,), finite and positive; at least three
    different sizes, or FitError.
    """
    n, loss = _checked(n, loss)
    size = groups(n, SAME_SIZE)
    log_n = np.log(n)
    runs = np.bincount(size)[size]
    y = np.log(loss) if residual == "log" else loss
    growth, centre = growth_of(y, log_n, size), float(log_n.mean())
    calm = np.exp(-2 * growth * (log_n - centre))
    law = _fit(n, loss, calm, growth, centre, size, residual)
    if len(set(runs)) < 2:
        return law
    # Noise shared by the runs of a size does not shrink as their number grows.
    spread = law.spread
    shared = (1 / spread.share - 1) / spread.runs_a_size
    calm = calm * (1 + spread.runs_a_size * shared) / (1 + runs * shared)
    return _fit(n, loss, calm, growth, centre, size, residual)


def _fit(
    n: Array,
    loss: Array,
    calm: Array,
    growth: float,
    centre: float,
    size: NDArray[np.int64],
    residual: Residual,
) -> PowerLaw:
    """The law by weighted least squares, and the scatter about it."""
    scale = float(np.exp(np.log(n).mean()))
    fitted, z, weight = loss, loss, calm
    for _ in range(MAX_PASSES if residual == "log" else 1):
        if residual == "log":
            z, weight = fitted * (1 + np.log(loss / fitted)), calm / fitted**2
        alpha = _best_alpha(n / scale, z, weight)
        best = solve(n / scale, z, weight, np.array([alpha]))
        last, fitted = fitted, best.b[0] * (n / scale) ** -alpha + best.c[0]
        if np.max(np.abs(fitted / last - 1)) < 1e-10:
            break
    a, c = float(best.b[0] * scale**alpha), float(best.c[0])
    rest = _residuals(loss, fitted, residual)
    count = np.bincount(size)
    means = np.bincount(size, rest) / count
    g = np.exp(growth * (np.log(n) - centre))
    spread = Spread(
        between=float(calm @ means[size] ** 2),
        between_dof=len(count) - 3,
        within=float(np.sum(((rest - means[size]) / g) ** 2)),
        within_dof=len(n) - len(count),
        runs_a_size=len(n) / len(count),
        growth=growth,
        centre=centre,
    )
    rss = float(calm @ rest**2)
    gradient = _gradient(n / scale, loss, calm, float(best.b[0]), alpha, c, residual)
    return PowerLaw(a, alpha, c, n, loss, calm, spread, rss, gradient, residual, z, weight)


def solve(x: Array, z: Array, weight: Array, alpha: Array) -> Slices:
    """Weighted least squares of z on b x^-alpha + c, for each of the (k,) exponents `alpha`."""
    basis = x[None, :] ** -alpha[:, None]
    total = weight.sum()
    mean_x, mean_z = basis @ weight / total, weight @ z / total
    centred = basis - mean_x[:, None]
    s_xx = np.maximum(centred**2 @ weight, np.finfo(float).tiny)
    b_free = centred @ (weight * (z - mean_z)) / s_xx
    c_free = mean_z - b_free * mean_x
    s_zz = weight @ (z - mean_z) ** 2
    rss_free = np.maximum(s_zz - b_free**2 * s_xx, 0.0)
    raw_xx = basis**2 @ weight
    b_zero = basis @ (weight * z) / raw_xx
    rss_zero = ((z - b_zero[:, None] * basis) ** 2) @ weight
    at_zero, flat = c_free < 0, b_free < 0
    return Slices(
        alpha=alpha,
        b=np.where(flat, 0.0, np.where(at_zero, b_zero, b_free)),
        c=np.where(flat, mean_z, np.where(at_zero, 0.0, c_free)),
        rss=np.where(flat, s_zz, np.where(at_zero, rss_zero, rss_free)),
        b_free=b_free,
        c_free=c_free,
        rss_free=rss_free,
        v_bb=1 / s_xx,
        v_bc=-mean_x / s_xx,
        v_cc=1 / total + mean_x**2 / s_xx,
        b_at_zero_c=b_zero,
        rss_at_zero_c=rss_zero,
        v_at_zero_c=1 / raw_xx,
    )


def _best_alpha(x: Array, z: Array, weight: Array) -> float:
    """The exponent of least profile RSS: the best grid cell, then a root of the slope within it."""
    k = int(np.argmin(solve(x, z, weight, GRID).rss))
    low, high = GRID[max(k - 1, 0)], GRID[min(k + 1, len(GRID) - 1)]

    def slope(alpha: float) -> float:
        # Envelope theorem: a and c are optimal, so only the explicit dependence on alpha counts.
        s = solve(x, z, weight, np.array([alpha]))
        basis = x**-alpha
        return float((weight * (z - s.b[0] * basis - s.c[0])) @ (basis * np.log(x)) * s.b[0])

    if slope(low) * slope(high) >= 0:
        return float(GRID[k])
    return float(brentq(slope, low, high, xtol=1e-15, rtol=1e-14))


def _gradient(
    x: Array, loss: Array, calm: Array, b: float, alpha: float, c: float, residual: Residual
) -> float:
    fitted = b * x**-alpha + c
    columns = np.stack([b * x**-alpha, -b * x**-alpha * np.log(x), np.full_like(x, c)])
    if residual == "log":
        columns = columns / fitted
    columns = columns * np.sqrt(calm)
    r = _residuals(loss, fitted, residual) * np.sqrt(calm)
    # Where a law fits its losses to the last digit, the residuals are only rounding.
    size = np.sqrt((columns**2).sum(axis=1) * max(r @ r, DIGITS**2))
    return float(np.max(np.abs(columns @ r) / np.maximum(size, 1e-30)))


def _residuals(loss: Array, fitted: Array, residual: Residual) -> Array:
    return np.log(loss / fitted) if residual == "log" else loss - fitted


def _checked(n: ArrayLike, loss: ArrayLike) -> tuple[Array, Array]:
    n, loss = np.asarray(n, dtype=float), np.asarray(loss, dtype=float)
    if n.ndim != 1 or n.shape != loss.shape:
        raise FitError(f"sizes {n.shape} and losses {loss.shape} must be two lists of one length")
    for name, values in (("size", n), ("loss", loss)):
        if not np.all(np.isfinite(values) & (values > 0)):
            bad = values[~(np.isfinite(values) & (values > 0))][0]
            raise FitError(f"found the {name} {bad:g}; every {name} must be finite and above 0")
    sizes = groups(n, SAME_SIZE).max() + 1
    if sizes < 3:
        raise FitError(f"found {sizes} different sizes; a law needs at least 3 to fit")
    return n, loss
