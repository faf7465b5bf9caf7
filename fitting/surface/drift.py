"""How far a law may be wrong where it was not measured, because its form is an approximation.

Real exponents drift. A drift is a column of changes in log loss, less what a change of the law's
own numbers imitates of it. The runs give it an estimate and a variance; both are carried to the
place that is predicted, so that neither a drift that was seen nor one that could not be seen is
taken for none: under a flat prior, estimate^2 + variance is the mean square of what it may be.
"""

import numpy as np

from fitting.law.noise import Array


def drift_variance(
    slope: Array, bends: Array, residual: Array, slope_there: Array, bends_there: Array
) -> Array:
    """Variance of log loss (m,) by drifts, summed over them, at m places.

    `slope` (runs, numbers) and `bends` (runs, drifts): derivatives of log loss at the runs, whose
    `residual` is (runs,); the same at the places, (m, ...). 0 with no run to spare for a drift.
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
