"""How far runs scatter about a surface: between seeds, and between sizes and budgets.

Runs of one size and budget may share an error that seeds do not show (a learning rate that suits
the size, a data order that suits the budget). Seeds alone would then make every interval too
narrow. Where nothing is shared, all squares together estimate the noise. Whichever of the two
estimates gives the wider interval is used, so that an interval covers in either case.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution

from fitting.law.power_law import Array
from fitting.runs.groups import SAME_BUDGET, SAME_SIZE, groups

PARAMETERS = 5
EXACT = 1e-9
"""Noise below which losses count as exact: their digits end there."""


@dataclass(frozen=True)
class Noise:
    """Mean squares of log loss about a surface, with their degrees of freedom."""

    pure: float
    """Mean square between runs of one size and budget; NaN without repeated runs."""
    pure_dof: int
    misfit: float
    """Mean square of the cell means about the surface, per run."""
    misfit_dof: int
    repeats: float
    """Mean number of runs per cell."""

    @property
    def pooled(self) -> float:
        """Mean square of all residuals."""
        within = self.pure * self.pure_dof if self.pure_dof else 0.0
        return (self.misfit * self.misfit_dof + within) / (self.misfit_dof + self.pure_dof)

    @property
    def leading(self) -> tuple[float, int]:
        """The mean square, with its degrees of freedom, that gives the wider interval at 95 %."""
        found = [(self.pooled, self.misfit_dof + self.pure_dof), (self.misfit, self.misfit_dof)]
        return max(found, key=lambda each: _room(each[0], each[1], 0.95))

    @property
    def of_a_run(self) -> float:
        """Standard deviation of one new run about the surface, relative to its loss."""
        return float(np.sqrt(self.of_mean(1)))

    def of_mean(self, runs: ArrayLike) -> Array:
        """Variance of the mean log loss of `runs` new runs of one size and budget.

        What the runs of a cell share does not average out over them.
        """
        runs = np.asarray(runs, dtype=float)
        if self.leading[1] > self.misfit_dof:
            return self.pooled / runs
        shared = max(self.misfit - self.pure, 0.0) / self.repeats if self.pure_dof else 0.0
        return shared + (self.misfit - shared * self.repeats) / runs

    def excess(self, level: float = 0.95) -> float:
        """How far a sum of squares may exceed its minimum at `level`: s^2 F(1, dof)."""
        square, dof = self.leading
        return _room(max(square, EXACT**2), dof, level)

    def misfit_p(self) -> float:
        """Lack-of-fit F test: probability of such a misfit if seeds were the only noise."""
        if self.pure_dof == 0 or self.misfit_dof == 0 or not self.pure > 0:
            return 1.0
        ratio = self.misfit / self.pure
        return float(f_distribution.sf(ratio, self.misfit_dof, self.pure_dof))


def cells(n: ArrayLike, d: ArrayLike) -> NDArray[np.int64]:
    """(runs,) the number of each run's cell; a cell is the runs of one size and budget."""
    size, budget = groups(n, SAME_SIZE), groups(d, SAME_BUDGET)
    return np.unique(size * (budget.max() + 1) + budget, return_inverse=True)[1]


def noise_of(residuals: Array, cell: NDArray[np.int64]) -> Noise:
    """Split the squares of `residuals` (runs,), log loss less the surface, by cell.

    There must be at least one more cell than the surface has parameters.
    """
    runs = np.bincount(cell)
    means = np.bincount(cell, residuals) / runs
    within = float(((residuals - means[cell]) ** 2).sum())
    between = float((runs * means**2).sum())
    pure_dof, misfit_dof = len(residuals) - len(runs), len(runs) - PARAMETERS
    return Noise(
        within / pure_dof if pure_dof else float("nan"),
        pure_dof,
        between / misfit_dof,
        misfit_dof,
        len(residuals) / len(runs),
    )


def _room(square: float, dof: int, level: float) -> float:
    return square * float(f_distribution.ppf(level, 1, dof))
