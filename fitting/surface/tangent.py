"""The linearised surface: what a small change of its numbers, or of its form, would do.

It serves tests of the design (can the five numbers be told apart?), of single runs and of the form:
each drift of an exponent, with N, with D or with compute, is a column.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from fitting.law.power_law import Array
from fitting.surface.drift import drift_variance
from fitting.surface.fit import Surface

FREE = 5


def condition(surface: Surface) -> float:
    """Condition number of the Jacobian of log L, with columns of unit length.

    The parameters are log A, log B, log E, alpha and beta, with N and D in units of their geometric
    means. Where tokens follow from size, the terms in N and D cannot be told apart, and it is
    large.
    """
    slope = _slope(surface, surface.n, surface.d)
    length = np.linalg.norm(slope, axis=0)
    if not np.all(np.isfinite(slope)) or not np.all(length > 0):
        return float("inf")
    return float(np.linalg.cond(slope / length))


def drift(surface: Surface, n: ArrayLike, d: ArrayLike) -> Array:
    """Variance (m,) of the error in log loss that the form itself may cause, at `n` and `d`.

    Through drifts of alpha with log N, of beta with log D, and of both with log C
    (`fitting.surface.drift`).
    """
    n, d = np.asarray(n, dtype=float), np.asarray(d, dtype=float)
    slope, bends = (f(surface, surface.n, surface.d) for f in (_slope, _bends))
    there = _slope(surface, n, d), _bends(surface, n, d)
    return drift_variance(slope, bends, _residual(surface), *there)


def bend_p(surface: Surface) -> float:
    """F test against exponents that drift: score test (Rao 1948) on three columns at once."""
    residual = _residual(surface)
    columns = np.hstack([f(surface, surface.n, surface.d) for f in (_slope, _bends)])
    dof = len(residual) - columns.shape[1]
    if dof < 1:
        return 1.0
    q, _ = np.linalg.qr(columns)
    without = float(residual @ residual) - float(((residual @ q[:, :FREE]) ** 2).sum())
    left = without - float(((residual @ q[:, FREE:]) ** 2).sum())
    if left <= 1e-24:
        return 1.0
    bends = columns.shape[1] - FREE
    return float(f_distribution.sf((without - left) / bends / (left / dof), bends, dof))


def outlier(surface: Surface) -> tuple[int, float]:
    """The run with the largest externally studentised residual, and its Bonferroni-corrected p."""
    residual = _residual(surface)
    dof = len(residual) - FREE - 1
    square = float(residual @ residual)
    if dof < 1 or square <= 1e-24:
        return 0, 1.0
    q, _ = np.linalg.qr(_slope(surface, surface.n, surface.d))
    left = np.maximum(1 - (q**2).sum(axis=1), 1e-9)
    variance = np.maximum(square - residual**2 / left, 1e-30) / dof
    t = np.abs(residual) / np.sqrt(variance * left)
    worst = int(np.argmax(t))
    return worst, min(1.0, 2 * float(t_distribution.sf(t[worst], dof)) * len(residual))


def _slope(surface: Surface, n: Array, d: Array) -> Array:
    """(m, 5) d log L / d (log A, log B, log E, alpha, beta)."""
    x, y, a, b, fitted = _terms(surface, n, d)
    return np.stack([a, b, surface.E / fitted, -a * x, -b * y], axis=1)


def _bends(surface: Surface, n: Array, d: Array) -> Array:
    """(m, 3) d log L per drift: of alpha with log N, of beta with log D, of both with log C."""
    x, y, a, b, _ = _terms(surface, n, d)
    return np.stack([a * x**2, b * y**2, (a + b) * (x + y) ** 2], axis=1)


def _terms(surface: Surface, n: Array, d: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Centred log N and log D, the shares of their terms in the loss, and the loss."""
    fitted = surface.predict(n, d)
    a, b = surface.A * n**-surface.alpha / fitted, surface.B * d**-surface.beta / fitted
    return np.log(n) - np.log(surface.n).mean(), np.log(d) - np.log(surface.d).mean(), a, b, fitted


def _residual(surface: Surface) -> Array:
    return np.log(surface.loss / surface.predict(surface.n, surface.d))
