"""L(N, D) at many pairs of exponents, at each of which it is linear and solved exactly.

Residuals of log loss are made linear as in `fitting.law.power_law`: at the end of a fit f, the
losses z = f (1 + log(L / f)) with weights 1 / f^2 have the same least squares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitting.law.power_law import Array
from fitting.surface.fit import Surface


@dataclass(frozen=True)
class Slices:
    """Least squares in A, B, E at each of k pairs (alpha, beta); N and D are scaled."""

    solution: Array
    """(k, 3) of A, B, E."""
    inverse: Array
    """(k, 3, 3) inverse of the triangular factor: its square is the solution's covariance."""
    rss: Array
    """(k,)."""
    sound: NDArray[np.bool_]
    """(k,) whether A and B are above 0 and E is not below."""

    @property
    def covariance(self) -> Array:
        """(k, 3, 3) of the solution, for unit noise."""
        return self.inverse @ self.inverse.transpose(0, 2, 1)


@dataclass(frozen=True)
class Problem:
    """The runs of a surface, linearised at the end of its fit."""

    x: Array
    """(runs,) log N less its mean."""
    y: Array
    """(runs,) log D less its mean."""
    z: Array
    root: Array
    """(runs,) square root of the weight."""
    log_n: float
    log_d: float
    """The means."""

    def solve(self, exponents: Array) -> tuple[Slices, Slices]:
        """Solve at each of `exponents` (k, 2), with E free, and with E = 0."""
        columns = np.stack(
            [
                np.exp(-exponents[:, :1] * self.x) * self.root,
                np.exp(-exponents[:, 1:] * self.y) * self.root,
                np.broadcast_to(self.root, (len(exponents), len(self.root))),
            ],
            axis=-1,
        )
        # E's column comes last, so that the same factors solve the problem without it.
        q, r = np.linalg.qr(columns)
        along = np.einsum("krp,r->kp", q, self.z * self.root)
        r = r + 1e-12 * np.eye(3) * np.abs(r).max(axis=(1, 2), keepdims=True)
        left = self.z * self.root - np.einsum("krp,kp->kr", q[:, :, :2], along[:, :2])
        without = _solved(r[:, :2, :2], along[:, :2], (left**2).sum(axis=1))
        left = left - q[:, :, 2] * along[:, 2:]
        return _solved(r, along, (left**2).sum(axis=1)), without


def problem(surface: Surface) -> Problem:
    """The linear problem of a least-squares fit of log loss."""
    fitted = surface.predict(surface.n, surface.d)
    log_n, log_d = np.log(surface.n), np.log(surface.d)
    return Problem(
        log_n - log_n.mean(),
        log_d - log_d.mean(),
        fitted * (1 + np.log(surface.loss / fitted)),
        1 / fitted,
        float(log_n.mean()),
        float(log_d.mean()),
    )


def _solved(r: Array, along: Array, rss: Array) -> Slices:
    """Slices from triangular factors, which may leave out E."""
    k, terms = along.shape
    inverse, solution = np.zeros((k, 3, 3)), np.zeros((k, 3))
    inverse[:, :terms, :terms] = np.linalg.inv(r)
    solution[:, :terms] = np.einsum("kij,kj->ki", inverse[:, :terms, :terms], along)
    sound = (solution[:, 0] > 0) & (solution[:, 1] > 0) & (solution[:, 2] >= 0)
    return Slices(solution, inverse, rss, sound)
