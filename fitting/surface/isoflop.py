"""IsoFLOP curves: the size of least loss at one compute (Hoffmann et al. 2022, section 3.2).

Parabolas through such runs are biased even without noise, because the loss is not a parabola in
log N (Open-Athena 2026): where a surface can be fitted it takes precedence, and these are given for
comparison.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fitting.law.power_law import Array
from fitting.runs.groups import SAME_COMPUTE, SAME_SIZE, groups

MIN_SIZES = 4
MIN_CURVES = 2
MIN_SHARE = 0.5
"""Share of the runs that must lie on curves: fewer share their compute by chance, not design."""


@dataclass(frozen=True)
class Curve:
    """A parabola of loss in log N at one compute."""

    flops: float
    n: Array
    """(sizes,) the runs of a size count once, at the mean of their losses."""
    loss: Array
    coefficients: tuple[float, float, float]
    """Coefficients of (log N)^2, log N and 1."""
    n_opt: float
    d_opt: float
    """Tokens that the optimal size sees at this compute."""

    def predict(self, n: ArrayLike) -> Array:
        """Loss of the parabola at sizes `n`."""
        return np.polyval(self.coefficients, np.log(np.asarray(n, dtype=float)))


@dataclass(frozen=True)
class Frontier:
    """The minima of several curves, and N_opt = scale * C^exponent through them."""

    curves: tuple[Curve, ...]
    exponent: float
    """NaN with fewer than two minima."""
    scale: float

    def optimal_n(self, flops: ArrayLike) -> Array:
        """The size of least loss at each compute in `flops`, by the line through the minima."""
        return self.scale * np.asarray(flops, dtype=float) ** self.exponent


def fit_frontier(
    n: ArrayLike, flops: ArrayLike, loss: ArrayLike, *, per_token: float = 6.0
) -> Frontier:
    """Find the minimum of each isoFLOP curve among runs (runs,).

    A minimum must lie within the sizes of its curve: an extrapolated optimum is left out.
    `per_token` is k of C = k N D.
    """
    n, flops, loss = _floats(n), _floats(flops), _floats(loss)
    curves = []
    for runs in isoflop_runs(n, flops):
        sizes, mean_loss = _means(n[runs], loss[runs])
        square, linear, constant = np.polyfit(np.log(sizes), mean_loss, 2)
        if square <= 0:
            continue
        n_opt = float(np.exp(-linear / (2 * square)))
        if sizes.min() <= n_opt <= sizes.max():
            compute = float(np.exp(np.log(flops[runs]).mean()))
            coefficients = (float(square), float(linear), float(constant))
            d_opt = compute / per_token / n_opt
            curves.append(Curve(compute, sizes, mean_loss, coefficients, n_opt, d_opt))
    exponent = scale = float("nan")
    if len(curves) >= 2:
        logs = np.log([[curve.flops, curve.n_opt] for curve in curves])
        slope, height = np.polyfit(logs[:, 0], logs[:, 1], 1)
        exponent, scale = float(slope), float(np.exp(height))
    return Frontier(tuple(curves), exponent, scale)


def isoflop_runs(n: ArrayLike, flops: ArrayLike) -> list[NDArray[np.int64]]:
    """Indices of the runs of each isoFLOP curve, by compute; none where there is no such design.

    A curve spans at most 5 % of compute, is separated from the nearest other runs by more than that
    on either side, and has at least four sizes. A design has at least two curves, with at least
    half of the runs on them.
    """
    n, flops = _floats(n), _floats(flops)
    if not len(n):
        return []
    group = groups(flops, SAME_COMPUTE)
    starts = np.concatenate([[0], np.cumsum(np.bincount(group))])
    ascending = np.sort(flops)
    lowest, highest = ascending[starts[:-1]], ascending[starts[1:] - 1]
    parted = np.log(lowest[1:] / highest[:-1]) > np.log1p(SAME_COMPUTE)
    # Nothing lies beyond the first and the last.
    apart = np.concatenate([[True], parted]) & np.concatenate([parted, [True]])
    members = [np.flatnonzero(group == k) for k in np.flatnonzero(apart)]
    found = [runs for runs in members if groups(n[runs], SAME_SIZE).max() + 1 >= MIN_SIZES]
    if len(found) < MIN_CURVES or sum(map(len, found)) < MIN_SHARE * len(n):
        return []
    return found


def _means(n: Array, loss: Array) -> tuple[Array, Array]:
    """One point per size: repeats would otherwise count as sizes and pull the parabola."""
    group = groups(n, SAME_SIZE)
    runs = np.bincount(group)
    return np.exp(np.bincount(group, np.log(n)) / runs), np.bincount(group, loss) / runs


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=float)
