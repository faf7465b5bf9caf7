"""Training curves of all sizes on one axis: do they fall in the same way?

Qiu et al. (2025), "Scaling collapse reveals universal dynamics in compute-optimally trained neural
networks", section 2: where training grows with the size as compute is best spent, the reducible
loss over its last value,

    r(t / T) = (L(t) - c) / (L(T) - c),

is one curve for all sizes. A size that leaves the bundle was trained otherwise than the rest: at
a rate that does not suit it, with a spike, or not to its end. So collapse is looked for where
tokens keep one ratio to size; with one budget for all sizes none is expected and nobody is named.

A point of a curve is the mean loss since the last point. It is smoothed further by means over spans
of t / T, which take the same part of each curve: `SPANS` for the tests, `SHOWN` for the plot. L(T)
is the mean over the last span. c is that of the law, and not known well; to first order a c that is
off by d moves log r by d / (a N^-alpha) times a factor that the sizes share. A size is therefore
held against a straight line in N^alpha through the others, by the noise of the seeds or by that of
the sizes about the line, whichever is larger. That noise goes with size as its seeds say.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as t_distribution

from fitting.groups import SAME_BUDGET, SAME_SIZE, groups
from fitting.power_law import Array, PowerLaw

Design = Literal["one ratio", "one budget", "other", "unknown"]
SPANS = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
"""Of t / T. The first tenth is warm-up, the last is L(T)."""
SHOWN = np.geomspace(0.02, 1.0, 21)
LEVEL = 0.03
"""Nominal chance that any size of a true bundle is named; in simulated sweeps it is 2 to 5 %."""
MIN_SIZES = 5
"""A line through the others needs four of them to have noise of its own."""
MIN_SCALED = 3
"""Sizes with several seeds from which it is told how the noise goes with size."""
SAME_RATIO = 0.25
"""Tokens over size that differ by no more than this fraction keep one ratio."""


@dataclass(frozen=True)
class Bundle:
    """The normalised curve of one size, the mean of its seeds."""

    n: float
    runs: int
    r: Array
    """(`SHOWN` - 1,) reducible loss over its last value; NaN before the first point of a curve."""


@dataclass(frozen=True)
class Leaving:
    """A size that leaves the bundle."""

    n: float
    t: float
    """Where it does so most clearly, as a part of its training."""
    ratio: float
    """Its r over that of the others there: below 1, it ends higher than its course promised."""
    p: float
    """Chance of a distance as rare as this at any size and anywhere in the training."""


@dataclass(frozen=True)
class Collapse:
    """The curves of one architecture. NaN for what could not be told."""

    design: Design
    curves: tuple[Bundle, ...]
    """From the smallest size up."""
    spread: float
    """Between sizes, relative: root mean square over the spans of the standard deviation of r."""
    beyond_c: float
    """What is left of it with the c that suits the curves best; NaN with two sizes."""
    noise: float
    """What seeds alone would make of it; NaN with one seed."""
    leaving: tuple[Leaving, ...]
    """Named one after the other, each held against those that stayed."""

    def sentence(self) -> str:
        """What is expected of these runs, and what was found."""
        if len(self.curves) < 2:
            return "Too few training curves reach below their own beginning and above c to compare."
        about = f"The sizes differ by {100 * self.spread:.2g} % in normalised loss"
        if np.isfinite(self.beyond_c):
            about += f", {100 * self.beyond_c:.2g} % with the c that suits them best"
        if np.isfinite(self.noise):
            about += f"; seeds alone make {100 * self.noise:.2g} %"
        if self.design == "one budget":
            return (
                "Every size saw the same number of tokens, so no collapse is expected: a small "
                f"model is nearer to its end when the budget is spent. {about}."
            )
        if self.design != "one ratio":
            return f"{EXPECTED[self.design]} {about}."
        said = f"Tokens keep one ratio to size, so one curve is expected. {about}."
        if len(self.curves) < MIN_SIZES:
            return f"{said} It takes {MIN_SIZES} sizes to say which one leaves the bundle."
        if not self.leaving:
            return f"{said} No size leaves the bundle."
        return " ".join([said, *(_named(one) for one in self.leaving)])


EXPECTED = {
    "other": "Tokens grow with size, but not in proportion: whether the curves collapse is open.",
    "unknown": "The tokens of some runs were not recorded: whether the curves collapse is open.",
}


def collapse(runs: pd.DataFrame, law: PowerLaw) -> Collapse:
    """Compare the training curves of `runs`, those of the law L(N).

    A curve that is absent, has a hole, stops before the end or comes down to c is left out.
    """
    design = designed(runs["n_params"].to_numpy(), runs["tokens"].to_numpy())
    n, coarse, fine = [], [], []
    for row in runs.to_dict("records"):
        part, loss = _points(row["train_curve"], row["tokens"])
        tested = normalised(part, loss, law.c, SPANS)
        if np.isfinite(tested).all():
            n.append(row["n_params"])
            coarse.append(np.log(tested[:-1]))
            fine.append(normalised(part, loss, law.c, SHOWN))
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
    """How tokens go with size, both (runs,)."""
    n, tokens = np.asarray(n, dtype=float), np.asarray(tokens, dtype=float)
    if not len(tokens) or not (tokens > 0).all():
        return "unknown"
    if tokens.max() <= tokens.min() * (1 + SAME_BUDGET):
        return "one budget"
    ratio = tokens / n
    return "one ratio" if ratio.max() <= ratio.min() * (1 + SAME_RATIO) else "other"


def normalised(part: Array, loss: Array, c: float, spans: Array) -> Array:
    """(spans - 1,) mean reducible loss of each span over that of the last.

    `part` and `loss`: (points,), with t / T at the end of each point's steps. NaN where a span has
    no point, or does not lie above c.
    """
    span = np.searchsorted(spans, part - 1e-9) - 1
    inside = (span >= 0) & (span < len(spans) - 1)
    # A point stands for the steps since the one before it, which may be more or fewer.
    width = np.diff(part, prepend=0.0)[inside]
    total = np.bincount(span[inside], width, minlength=len(spans) - 1)
    summed = np.bincount(span[inside], width * loss[inside], minlength=len(spans) - 1)
    above = np.where(total > 0, summed / np.where(total > 0, total, 1.0) - c, np.nan)
    return np.where(above > 0, above, np.nan) / (above[-1] if above[-1] > 0 else np.nan)


def leave_bundle(
    n: Array, tilt: Array, weight: Array, log_r: Array, variance: Array, dof: int
) -> tuple[Leaving, ...]:
    """Sizes whose curves are not those of the others.

    n, tilt, weight: (sizes,), what a wrong c moves each by, and the inverse variance of its mean in
    units of `variance` (spans,), which the seeds tell with `dof` degrees of freedom; log_r: (sizes,
    spans). The distance that would be rarest among all sizes and spans, if it is rare (Bonferroni),
    names a size, which is taken out; then the rest is looked at again.
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
    """(sizes,) what the noise of log_r is proportional to.

    A power of N, by the distances of the runs from their size's mean, `within` (runs, spans). Where
    fewer than three sizes have several seeds: L / (L - c), as if the noise of L fell with L.
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
    """Size k's distance (spans,) from the line through the others, and its two-sided p (spans,)."""
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
    """Standard deviation between sizes of log_r (sizes, spans), pooled over the spans, about what
    the columns (sizes, p) tell; NaN with p sizes or fewer."""
    dof = len(columns) - columns.shape[1]
    if dof < 1:
        return np.nan
    rest = log_r - columns @ (np.linalg.pinv(columns) @ log_r)
    return float(np.sqrt(np.sum(rest**2) / dof / log_r.shape[1]))


def _points(curve: object, tokens: float) -> tuple[Array, Array]:
    """t / T and loss (points,) of a recorded curve, without what is not finite."""
    if not isinstance(curve, list) or not tokens > 0:
        return np.empty(0), np.empty(0)
    points = np.array(curve, dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    return points[:, 0] / tokens, points[:, 1]


def _by_size(group: NDArray[np.int64], n: Array, values: Array) -> tuple[Array, Array, Array]:
    """Sizes (sizes,), their runs (sizes,), and the mean over these of `values` (runs, m)."""
    of_size = (group == np.arange(group.max() + 1)[:, None]).astype(float)
    counts = of_size.sum(axis=1)
    return of_size @ n / counts, counts, of_size @ values / counts[:, None]


def _named(one: Leaving) -> str:
    """A sentence on a size that leaves."""
    how = (
        "it ends higher than its course promised, as at a rate that is too high for it"
        if one.ratio < 1
        else "it is slow at first, or ends lower than the others do"
    )
    return (
        f"N = {one.n:,.0f} leaves the bundle (p = {one.p:.1g}): at {100 * one.t:.0f} % of its "
        f"training its normalised loss is {one.ratio:.2f} times that of the others; {how}."
    )
