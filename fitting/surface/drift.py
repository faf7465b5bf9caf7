"""How far a law may be wrong where it was not measured, because its form is an approximation.

Real exponents drift. A drift is a column of changes in log loss, less the part that changes of the
law's own parameters can imitate. The runs give its estimate and variance, and both are carried to
the point of prediction, so that a drift counts whether it was seen or could not have been seen:
under a flat prior, estimate^2 + variance is its mean square.
"""

import numpy as np

from fitting.law.noise import Array


def drift_variance(
    slope: Array, bends: Array, residual: Array, slope_there: Array, bends_there: Array
) -> Array:
    """Variance (m,) of log loss due to drifts, summed over the drifts, at m points.

    `slope` (runs, numbers) and `bends` (runs, drifts): derivatives of log loss at the runs, whose
    `residual` is (runs,); the same at the points, (m, ...). 0 where no degree of freedom is left.
    """
    dof = len(residual) - slope.shape[1] - 1
    if dof < 1:
        return np.zeros(len(slope_there))
    imitated = np.linalg.pinv(slope) @ bends
    here, there = bends - slope @ imitated, bends_there - slope_there @ imitated
    square = np.maximum((here**2).sum(axis=0), 1e-300)
    estimate = residual @ here / square
    left = np.maximum(residual @ residual - estimate**2 * square, 0.0) / dof
    return there**2 @ (estimate**2 + left / square)
