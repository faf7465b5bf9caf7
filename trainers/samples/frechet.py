"""How far what a model composed is from real pieces in all measures at once.

The Frechet distance between two normal distributions (Heusel et al. 2017, "GANs trained by a two
time-scale update rule converge to a local Nash equilibrium"): the squared distance of their means,
and what their covariances differ by. Heusel et al. measure pictures by a network; here pieces are
measured by `MEASURES`, each replaced by the normal deviate of its rank among real pieces: the
measures of music are far from normal, and one odd piece would decide everything.

Of few pieces the distance comes out too large, by a term that falls as 1/n: Chong & Forsyth (2020,
"Effectively unbiased FID and Inception Score and where to find them") draw a line through distances
at several n, and take its value at 1/n = 0. Here the line goes through n and n - 1, which is the
jackknife (Quenouille 1956), and gives a standard error as well.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from trainers.samples.measures import Estimate

ENOUGH = 2
"""Pieces for each measure from which on it can be seen how measures go together. Eight pieces have
no covariance of nine measures: the corrected distance of as many real ones is .8 too small."""


def correlated(pieces: int, measures: int) -> bool:
    """Whether so many pieces are enough for covariances; variances alone are compared if not."""
    return pieces >= ENOUGH * measures


def frechet(values: np.ndarray, reference: np.ndarray, covariances: bool) -> Estimate:
    """values, reference: (pieces, measures) -> their distance, corrected, with a 95 % interval.

    0 is no difference, 1 as far as if one measure were off by a standard deviation; the corrected
    one may fall below 0 by chance. Pieces that lack a measure (NaN) are left out.
    """
    values, reference = (each[~np.isnan(each).any(axis=1)] for each in (values, reference))
    n = len(values)
    if n < 3 or len(reference) < 3:
        return Estimate(float("nan"), float("nan"), float("nan"), n)
    made, real = (normal_scores(each, reference) for each in (values, reference))
    whole = distance(made, real, covariances)
    without = np.array(
        [distance(np.delete(made, one, axis=0), real, covariances) for one in range(n)]
    )
    value = n * whole - (n - 1) * without.mean()
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    half = float(stats.t.ppf(0.975, n - 1) * error)
    return Estimate(float(value), float(value - half), float(value + half), n)


def normal_scores(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(pieces, measures): the normal deviates of the ranks of `values` among those of `reference`.

    What is beyond all of them counts as their last.
    """
    n, scores = len(reference), np.empty(values.shape)
    for column, (mine, theirs) in enumerate(zip(values.T, np.sort(reference, axis=0).T)):
        sides = np.searchsorted(theirs, mine, "left"), np.searchsorted(theirs, mine, "right")
        share = np.clip(sum(sides) / (2 * n), 0.5 / n, 1 - 0.5 / n)
        scores[:, column] = stats.norm.ppf(share)
    return scores


def distance(left: np.ndarray, right: np.ndarray, covariances: bool) -> float:
    """Between the normal distributions of two sets of (pieces, measures), uncorrected.

    covariances: whether the measures go together in their own way in each, or are independent.
    """
    apart = float(((left.mean(axis=0) - right.mean(axis=0)) ** 2).sum())
    if not covariances:
        spreads = left.std(axis=0, ddof=1) - right.std(axis=0, ddof=1)
        return apart + float((spreads**2).sum())
    a, b = np.cov(left.T), np.cov(right.T)
    root = _root(b)
    # The trace of the root of a product of covariances, by way of a symmetric matrix.
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ a @ root), 0)).sum()
    return apart + float(np.trace(a) + np.trace(b) - 2 * shared)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of a covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
