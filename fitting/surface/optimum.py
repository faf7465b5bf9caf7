"""The best size and tokens for a compute budget, by the surface and by the parabolas."""

from dataclasses import dataclass

import numpy as np

from fitting.law.intervals import Interval
from fitting.law.power_law import Array
from fitting.surface.fit import Surface
from fitting.surface.isoflop import Frontier
from fitting.surface.region import Region

BEYOND = 2
"""Powers of ten beyond the largest compute that are still listed."""
AGREE = 0.05
"""Relative difference in tokens that counts as agreement."""


@dataclass(frozen=True)
class Optimum:
    """The size and tokens of least loss at one compute. Intervals are 95 %."""

    flops: float
    beyond: bool
    """Whether this exceeds the compute of every run."""
    n: float
    n_interval: Interval
    d: float
    d_interval: Interval
    parabola_n: float
    parabola_d: float
    """From the line through the minima of the isoFLOP curves; NaN with fewer than two minima."""


def optimum(
    surface: Surface, region: Region, frontier: Frontier, flops: float, largest: float, k: float
) -> Optimum:
    """The optimum at the compute `flops`, C = k N D; `largest`: the largest compute of a run."""
    n = float(surface.optimal_n(flops, per_token=k))
    interval = region.optimal_n_interval(flops, per_token=k)
    parabola = float(frontier.optimal_n(flops))
    return Optimum(
        flops,
        flops > largest * 1.05,
        n,
        interval,
        flops / k / n,
        Interval(flops / k / interval.high, _over(flops / k, interval.low)),
        parabola,
        flops / k / parabola,
    )


def round_budgets(flops: Array) -> list[float]:
    """The powers of ten within the range of `flops` (runs,), and the next two."""
    first = int(np.ceil(np.log10(flops.min()) - 1e-9))
    last = int(np.floor(np.log10(flops.max()) + 1e-9)) + BEYOND
    return [float(f"1e{power}") for power in range(min(first, last), last + 1)]


def disagreement(best: Optimum) -> str:
    """How the parabolas' optimum differs from the surface's, in words; "" without parabolas."""
    if not np.isfinite(best.parabola_d):
        return ""
    more = best.parabola_d / best.d - 1
    at = f"at {best.flops:.3g} FLOPs"
    if abs(more) < AGREE:
        return f"The parabolas and the surface ask for the same tokens {at}, within 5 %."
    asked = (
        f"{best.parabola_d / best.d:.2g} times the tokens"
        if more >= 1
        else f"{abs(more):.0%} {'more' if more > 0 else 'fewer'} tokens".replace("%", " %")
    )
    return (
        f"The parabolas ask for {asked} {at}. Parabolas are biased even without noise "
        "(Open-Athena 2026), so the surface takes precedence."
    )


def _over(value: float, divisor: float) -> float:
    return value / divisor if divisor > 0 else float("inf")
