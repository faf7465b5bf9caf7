"""A surface tested on held-out runs: the largest compute, predicted from the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fitting.law.power_law import Array
from fitting.runs.groups import SAME_BUDGET, groups
from fitting.surface.fit import MIN_RUNS, Surface, fit_surface
from fitting.surface.isoflop import isoflop_runs
from fitting.surface.noise import PARAMETERS, Noise, cells, noise_of
from fitting.surface.region import region
from fitting.surface.tangent import drift

LAST_FIFTH = 0.2


@dataclass(frozen=True)
class HeldOutRuns:
    """Held-out points (m,), one per size and budget at the mean of its seeds, with predictions."""

    what: str
    """Which runs were held out, in words."""
    n: Array
    d: Array
    observed: Array
    predicted: Array
    low: Array
    high: Array
    """95 % interval, from the surface, the drift of its form and the noise of a run."""
    contradicted: bool
    """Whether a run lies outside an interval that one test in 200 would miss by chance."""

    @property
    def inside(self) -> float:
        """Share of the runs within their interval."""
        return float(np.mean((self.low <= self.observed) & (self.observed <= self.high)))

    @property
    def relative_error(self) -> float:
        """Geometric mean of predicted over observed, minus one."""
        return float(np.expm1(np.mean(np.log(self.predicted / self.observed))))


def predict(
    surface: Surface,
    noise: Noise,
    n: ArrayLike,
    d: ArrayLike,
    *,
    runs: ArrayLike = 1,
    level: float = 0.95,
) -> tuple[Array, Array]:
    """Low and high (m,) of the mean loss of `runs` new runs at sizes `n` and tokens `d`, (m,).

    Besides the uncertainty of A, B, E, alpha and beta, the interval holds the noise between runs
    and as much drift of the exponents as the runs allow.
    """
    n, d = np.asarray(n, dtype=float), np.asarray(d, dtype=float)
    found = region(surface, noise.excess(level))
    own = (noise.of_mean(runs) + drift(surface, n, d)) / noise.leading[0]
    return found.loss_interval(n, d, own * surface.predict(n, d) ** 2)


def hold_out(n: Array, d: Array, flops: Array, loss: Array) -> HeldOutRuns | None:
    """Predict the largest compute of runs (runs,); None where the rest cannot be fitted.

    The largest isoFLOP curve; without curves the largest token budget, where sizes share it; else
    the fifth of the runs that had the most compute.
    """
    what, out = largest(n, d, flops)
    rest = ~out
    if not fittable(n[rest], d[rest]):
        return None
    return hold_out_these(n, d, loss, out, what)


def hold_out_these(
    n: Array, d: Array, loss: Array, out: NDArray[np.bool_], what: str
) -> HeldOutRuns:
    """Predict the runs where `out` (runs,) from the others."""
    part = fit_surface(n[~out], d[~out], loss[~out], delta=None)
    noise = surface_noise(part)
    cell = cells(n[out], d[out])
    runs = np.bincount(cell)
    mean_n, mean_d, observed = (
        np.exp(np.bincount(cell, np.log(values[out])) / runs) for values in (n, d, loss)
    )
    low, high = predict(part, noise, mean_n, mean_d, runs=runs)
    least, most = predict(part, noise, mean_n, mean_d, runs=runs, level=1 - 0.005 / len(runs))
    return HeldOutRuns(
        what,
        mean_n,
        mean_d,
        observed,
        part.predict(mean_n, mean_d),
        low,
        high,
        bool(np.any((observed < least) | (observed > most))),
    )


def largest(n: Array, d: Array, flops: Array) -> tuple[str, NDArray[np.bool_]]:
    """What is held out, in words, and its mask (runs,)."""
    curves = isoflop_runs(n, flops)
    if curves:
        return "the isoFLOP curve of the largest compute", np.isin(np.arange(len(n)), curves[-1])
    budget = groups(d, SAME_BUDGET)
    if len(np.unique(cells(n, d)[budget == budget.max()])) > 1:
        return "the largest token budget", budget == budget.max()
    rank = np.argsort(np.argsort(flops, kind="stable"), kind="stable")
    return "the fifth of the runs with the most compute", rank >= (1 - LAST_FIFTH) * len(n)


def fittable(n: Array, d: Array) -> bool:
    """Whether there are enough runs, sizes and budgets for a surface and its noise."""
    return (
        len(n) >= MIN_RUNS
        and len(np.unique(cells(n, d))) > PARAMETERS
        and min(len(np.unique(n)), len(np.unique(d))) >= 3
    )


def surface_noise(surface: Surface) -> Noise:
    """The noise about a surface, within and between its cells."""
    residual = np.log(surface.loss / surface.predict(surface.n, surface.d))
    return noise_of(residual, cells(surface.n, surface.d))
