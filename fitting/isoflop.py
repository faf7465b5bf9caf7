"""IsoFLOP curves: at one compute, the size of least loss (Hoffmann et al. 2022, section 3.2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fitting.power_law import Array

SAME_COMPUTE = 0.05
"""Runs whose FLOPs agree within this fraction share a curve."""
MIN_SIZES = 4


@dataclass(frozen=True)
class Curve:
    """A parabola of loss in log N at one compute."""

    flops: float
    n: Array
    loss: Array
    coefficients: tuple[float, float, float]
    """Of (log N)^2, log N and 1."""
    n_opt: float
    d_opt: float
    """Tokens that the optimal size sees at this compute, C / (6 N)."""

    def predict(self, n: ArrayLike) -> Array:
        """Loss of the parabola at sizes `n`."""
        return np.polyval(self.coefficients, np.log(np.asarray(n, dtype=float)))


@dataclass(frozen=True)
class Frontier:
    """The minima of several curves, and N_opt = k C^exponent through them."""

    curves: tuple[Curve, ...]
    exponent: float
    """NaN with fewer than two minima."""


def fit_frontier(n: ArrayLike, flops: ArrayLike, loss: ArrayLike) -> Frontier:
    """Group runs (runs,) by compute and find each curve's minimum.

    A curve needs four sizes, and its minimum must lie inside them: an optimum that was only
    extrapolated is left out.
    """
    n, flops, loss = _floats(n), _floats(flops), _floats(loss)
    order = np.argsort(flops)
    breaks = np.flatnonzero(np.diff(np.log(flops[order])) > SAME_COMPUTE) + 1
    curves = []
    for group in np.split(order, breaks):
        if len(np.unique(n[group])) < MIN_SIZES:
            continue
        square, linear, constant = np.polyfit(np.log(n[group]), loss[group], 2)
        if square <= 0:
            continue
        n_opt = float(np.exp(-linear / (2 * square)))
        if n[group].min() <= n_opt <= n[group].max():
            compute = float(np.exp(np.log(flops[group]).mean()))
            coefficients = (float(square), float(linear), float(constant))
            d_opt = compute / 6 / n_opt
            curves.append(Curve(compute, n[group], loss[group], coefficients, n_opt, d_opt))
    exponent = float("nan")
    if len(curves) >= 2:
        logs = np.log([[curve.flops, curve.n_opt] for curve in curves])
        exponent = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    return Frontier(tuple(curves), exponent)


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=float)
