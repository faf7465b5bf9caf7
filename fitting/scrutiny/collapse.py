"""Do the training curves of all sizes fall in the same way once normalised?

Qiu et al. (2025), "Scaling collapse reveals universal dynamics in compute-optimally trained neural
networks", section 2: where training grows with size so that compute is spent optimally, the
reducible loss over its final value,

    r(t / T) = (L(t) - c) / (L(T) - c),

is one curve for all sizes. A size that leaves the bundle was trained differently from the rest:
with an unsuitable learning rate, with a spike, or not to its end. Collapse is tested only where
tokens are proportional to size; with one budget for all sizes none is expected, and no size is
named.

A point of a curve is the mean loss since the previous point. Curves are smoothed further by
averaging over spans of t / T, the same for each curve: `SPANS` for the tests, `SHOWN` for the plot.
L(T) is the mean over the last span. c comes from the law and is uncertain; to first order, an error
d in c moves log r by d / (a N^-alpha) times a factor common to all sizes. Each size is therefore
compared with a straight line in N^alpha through the others, using the noise of the seeds or that of
the sizes about the line, whichever is larger. How that noise depends on size comes from the
seeds.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as t_distribution

from fitting.law.power_law import Array, PowerLaw
from fitting.runs.groups import SAME_BUDGET, SAME_SIZE, groups

Design = Literal["one ratio", "one budget", "other", "unknown"]
SPANS = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
"""Bounds of the spans of t / T. The first tenth is warm-up; the last span gives L(T)."""
SHOWN = np.geomspace(0.02, 1.0, 21)
LEVEL = 0.03
"""Nominal chance that any size of a true bundle is named; 2 to 5 % in simulated sweeps."""
MIN_SIZES = 5
"""A line through the other sizes needs four of them to leave residuals."""
MIN_SCALED = 3
"""Sizes with several seeds that it takes to tell how the noise depends on size."""
PROPORTIONAL = 0.25
"""Tokens count as proportional to size if their ratio varies by no more than this fraction."""


@dataclass(frozen=True)
class Bundle:
    """The normalised curve of one size, the mean of its seeds."""

    n: float
    runs: int
    r: Array
    """(`SHOWN` - 1,) reducible loss over its final value; NaN before the first point of a curve."""


@dataclass(frozen=True)
class Leaving:
    """A size that leaves the bundle."""

    n: float
    t: float
    """Where it does so most clearly, as a fraction of its training."""
    ratio: float
    """Its r there, relative to the others: below 1, it ends higher than its course promised."""
    p: float
    """Chance of so rare a distance at any size and anywhere in the training."""


@dataclass(frozen=True)
class Collapse:
    """The curves of one architecture. NaN for what could not be determined."""

    design: Design
    curves: tuple[Bundle, ...]
    """The curves, from the smallest size up."""
    spread: float
    """Relative spread between sizes: standard deviation of r, root mean square over the spans."""
    beyond_c: float
    """What remains of `spread` with the c that suits the curves best; NaN with two sizes."""
    noise: float
    """The spread that seeds alone would cause; NaN with one seed."""
    leaving: tuple[Leaving, ...]
    """Named one after the other, each compared with those that remained."""

    def sentence(self) -> str:
        """What is expected for these runs, and what was found."""
        if len(self.curves) < 2:
            return "Too few training curves are complete and stay above c: nothing to compare."
        about = f"The sizes differ by {100 * self.spread:.2g} % in normalised loss"
        if np.isfinite(self.beyond_c):
            about += f", {100 * self.beyond_c:.2g} % with the c that suits them best"
        if np.isfinite(self.noise):
            about += f"; seeds alone account for {100 * self.noise:.2g} %"
        if self.design == "one budget":
            return (
                "Every size saw the same number of tokens, so no collapse is expected: a small "
                f"model is closer to convergence when the budget is spent. {about}."
            )
        if self.design != "one ratio":
            return f"{EXPECTED[self.design]} {about}."
        said = f"Tokens are proportional to size, so one curve is expected. {about}."
        if len(self.curves) < MIN_SIZES:
            return f"{said} It takes {MIN_SIZES} sizes to say which one leaves the bundle."
        if not self.leaving:
            return f"{said} No size leaves the bundle."
        return " ".join([said, *(_named(one) for one in self.leaving)])


EXPECTED = {
    "other": "Tokens grow with size, but not in proportion, so the curves may or may not collapse.",
    "unknown": "The tokens of some runs were not recorded, so the curves may or may not collapse.",
}


def collapse(runs: pd.DataFrame, law: PowerLaw) -> Collapse:
    """Compare the training curves of `runs`, to which `law` was fitted.

    A curve that is absent, has a gap, stops before the end or falls to c is left out.
    """
    design = designed(runs["n_params"].to_numpy(), runs["tokens"].to_numpy())
    n, coarse, fine = [], [], []
    for row in runs.to_dict("records"):
        fraction, loss = _points(row["train_curve"], row["tokens"])
        tested = normalised(fraction, loss, law.c, SPANS)
        if np.isfinite(tested).all():
            n.append(row["n_params"])
            coarse.append(np.log(tested[:-1]))
            fine.append(normalised(fraction, loss, law.c, SHOWN))
    if not n:
        return Collapse(design, (), np.nan, np.nan, np.nan, ())
    group = groups(n, SAME_SIZE)
    sizes, counts, log_r = _by_size(group, np.array(n), np.array(coarse))
    _, _, shown = _by_size(group, np.array(n), np.array(fine))
    curves = tuple(
        Bundle(float(size), int(runs_of), r) for size, runs_of, r in zip(sizes, counts, shown)
    )
    within, dof = np.array(coarse) - log_r[group], len(group) - len(sizes)
    noise = np.sqrt((within**2).sum(axis=0).mean() / dof * np.mean(1 / counts)) if dof else np.nan
    tilt = (sizes / sizes[-1]) ** law.alpha
    leaving: tuple[Leaving, ...] = ()
    if design == "one ratio" and law.a > 0:
        scale = _noise_by_size(law, sizes, group, within)
        variance = ((within / scale[group, None]) ** 2).sum(axis=0) / max(dof, 1)
        leaving = leave_bundle(sizes, tilt, counts / scale**2, log_r, variance, dof)
    level, line = np.ones((len(sizes), 1)), np.stack([np.ones_like(tilt), tilt], axis=1)
    spread, beyond_c = _spread(log_r, level), _spread(log_r, line)
    return Collapse(design, curves, spread, beyond_c, float(noise), leaving)


def designed(n: ArrayLike, tokens: ArrayLike) -> Design:
    """How tokens vary with size, both (runs,)."""
    n, tokens = np.asarray(n, dtype=float), np.asarray(tokens, dtype=float)
    if not len(tokens) or not (tokens > 0).all():
        return "unknown"
    if tokens.max() <= tokens.min() * (1 + SAME_BUDGET):
        return "one budget"
    ratio = tokens / n
    return "one ratio" if ratio.max() <= ratio.min() * (1 + PROPORTIONAL) else "other"


def normalised(fraction: Array, loss: Array, c: float, spans: Array) -> Array:
    """(spans - 1,) mean reducible loss of each span over that of the last span.

    `fraction` and `loss`: (points,), with t / T at the end of each point's steps. NaN where a span
    has no point or does not lie above c.
    """
    span = np.searchsorted(spans, fraction - 1e-9) - 1
    inside = (span >= 0) & (span < len(spans) - 1)
    # A point stands for the steps since the one before it, which may be more or fewer.
    width = np.diff(fraction, prepend=0.0)[inside]
    total = np.bincount(span[inside], width, minlength=len(spans) - 1)
    summed = np.bincount(span[inside], width * loss[inside], minlength=len(spans) - 1)
    above = np.where(total > 0, summed / np.where(total > 0, total, 1.0) - c, np.nan)
    return np.where(above > 0, above, np.nan) / (above[-1] if above[-1] > 0 else np.nan)


def leave_bundle(
    n: Array, tilt: Array, weight: Array, log_r: Array, variance: Array, dof: int
) -> tuple[Leaving, ...]:
    """The sizes whose curves differ from those of the others.

    n, tilt, weight: (sizes,) the size, how far a wrong c moves it, and the inverse variance of its
    mean in units of `variance` (spans,), which the seeds give with `dof` degrees of freedom. log_r:
    (sizes, spans). The rarest distance over all sizes and spans, if it is significant (Bonferroni),
    names a size; that size is removed, and the rest are tested again.
    """
    found: list[Leaving] = []
    while len(n) >= MIN_SIZES:
        tested = [_distance(tilt, weight, log_r, k, variance, dof) for k in range(len(n))]
        away, p = np.array(tested).swapaxes(0, 1)
        p = np.minimum(p * p.size, 1.0)
        k, span = np.unravel_index(np.argmin(p), p.shape)
        if p[k, span] > LEVEL:
            break
        middle = float(SPANS[span : span + 2].mean())
        found.append(Leaving(float(n[k]), middle, float(np.exp(away[k, span])), float(p[k, span])))
        n, tilt, weight, log_r = (np.delete(v, k, axis=0) for v in (n, tilt, weight, log_r))
    return tuple(found)


def _noise_by_size(law: PowerLaw, sizes: Array, group: NDArray[np.int64], within: Array) -> Array:
    """(sizes,) the relative noise of log_r by size.

    A power of N, fitted to the distances of the runs from their size's mean, `within` (runs,
    spans). Where fewer than three sizes have several seeds, L / (L - c), as if the noise of L were
    proportional to L.
    """
    square = (within**2).sum(axis=1)
    counts = np.bincount(group)
    known = counts > 1
    if known.sum() < MIN_SCALED:
        return law.predict(sizes) / (law.predict(sizes) - law.c)
    variance = (np.bincount(group, square)[known] / (counts[known] - 1)).clip(1e-30)
    x = np.log(sizes / sizes[-1])
    slope, _ = np.polyfit(x[known], np.log(variance), 1, w=np.sqrt(counts[known] - 1))
    return np.exp(slope / 2 * x)


def _distance(
    tilt: Array, weight: Array, log_r: Array, k: int, variance: Array, dof: int
) -> tuple[Array, Array]:
    """Distance (spans,) of size k from the line through the others, and its two-sided p."""
    others = np.arange(len(tilt)) != k
    line = np.stack([np.ones_like(tilt), tilt], axis=1)
    root = np.sqrt(weight[others])[:, None]
    solver = np.linalg.pinv(line[others] * root)
    fitted = solver @ (log_r[others] * root)
    about = (((log_r - line @ fitted)[others] * root) ** 2).sum(axis=0) / (len(tilt) - 3)
    away = log_r[k] - line[k] @ fitted
    own = 1 / weight[k] + np.sum((line[k] @ solver) ** 2)
    error = np.sqrt(np.maximum(about, variance) * own)
    t = np.abs(away) / np.maximum(error, 1e-12)
    return away, 2 * t_distribution.sf(t, dof + len(tilt) - 3)


def _spread(log_r: Array, columns: Array) -> float:
    """Standard deviation of log_r (sizes, spans) between sizes, pooled over the spans, about a
    regression on `columns` (sizes, p); NaN with p sizes or fewer."""
    dof = len(columns) - columns.shape[1]
    if dof < 1:
        return np.nan
    rest = log_r - columns @ (np.linalg.pinv(columns) @ log_r)
    return float(np.sqrt(np.sum(rest**2) / dof / log_r.shape[1]))


def _points(curve: object, tokens: float) -> tuple[Array, Array]:
    """t / T and loss (points,) of a recorded curve, without points that are not finite."""
    if not isinstance(curve, list) or not tokens > 0:
        return np.empty(0), np.empty(0)
    points = np.array(curve, dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    return points[:, 0] / tokens, points[:, 1]


def _by_size(group: NDArray[np.int64], n: Array, values: Array) -> tuple[Array, Array, Array]:
    """Sizes (sizes,), their numbers of runs (sizes,), and their means of `values` (runs, m)."""
    of_size = (group == np.arange(group.max() + 1)[:, None]).astype(float)
    counts = of_size.sum(axis=1)
    return of_size @ n / counts, counts, of_size @ values / counts[:, None]


def _named(one: Leaving) -> str:
    """A sentence on a size that leaves the bundle."""
    how = (
        "it ends higher than its course promised, as with too high a learning rate"
        if one.ratio < 1
        else "it starts slowly, or ends lower than the others do"
    )
    return (
        f"N = {one.n:,.0f} leaves the bundle (p = {one.p:.1g}): at {100 * one.t:.0f} % of its "
        f"training its normalised loss is {one.ratio:.2f} times that of the others; {how}."
    )
