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
is the mean over the last span. c is that of the law, and is not known well; a c that is off tilts r
by size. A size is therefore held against a straight line in log N through the others, by the noise
of the seeds or by that of the sizes about the line, whichever is larger.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as t_distribution

from fitting.groups import SAME_BUDGET, SAME_SIZE, groups
from fitting.power_law import Array

Design = Literal["one ratio", "one budget", "other", "unknown"]
SPANS = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
"""Of t / T. The first tenth is warm-up, the last is L(T)."""
SHOWN = np.geomspace(0.02, 1.0, 21)
LEVEL = 0.05
"""Chance that any size of a true bundle is named."""
MIN_SIZES = 5
"""A line through the others needs four of them to have noise of its own."""
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
    noise: float
    """What seeds alone would make of `spread`; NaN with one seed."""
    leaving: tuple[Leaving, ...]
    """Named one after the other, each held against those that stayed."""

    def sentence(self) -> str:
        """What is expected of these runs, and what was found."""
        if len(self.curves) < 2:
            return "Too few training curves reach below their own beginning and above c to compare."
        about = f"The sizes differ by {100 * self.spread:.2g} % in normalised loss"
        about += (
            f", seeds alone would make it {100 * self.noise:.2g} %"
            if np.isfinite(self.noise)
            else ""
        )
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


def collapse(runs: pd.DataFrame, c: float) -> Collapse:
    """Compare the training curves of `runs`, those of one law, whose floor is `c`.

    A curve that is absent, has a hole, stops before the end or comes down to c is left out.
    """
    design = designed(runs["n_params"].to_numpy(), runs["tokens"].to_numpy())
    n, coarse, fine = [], [], []
    for row in runs.to_dict("records"):
        part, loss = _points(row["train_curve"], row["tokens"])
        tested = normalised(part, loss, c, SPANS)
        if np.isfinite(tested).all():
            n.append(row["n_params"])
            coarse.append(np.log(tested[:-1]))
            fine.append(normalised(part, loss, c, SHOWN))
    if not n:
        return Collapse(design, (), np.nan, np.nan, ())
    group = groups(n, SAME_SIZE)
    sizes, counts, log_r = _by_size(group, np.array(n), np.array(coarse))
    _, _, shown = _by_size(group, np.array(n), np.array(fine))
    curves = tuple(
        Bundle(float(size), int(runs_of), r) for size, runs_of, r in zip(sizes, counts, shown)
    )
    variance, dof = _seeds(group, np.array(coarse))
    spread = np.sqrt(np.mean(log_r.var(axis=0, ddof=1))) if len(sizes) > 1 else np.nan
    noise = np.sqrt(variance.mean() * np.mean(1 / counts)) if dof else np.nan
    leaving: tuple[Leaving, ...] = ()
    if design == "one ratio":
        leaving = leave_bundle(sizes, counts, log_r, variance, dof)
    return Collapse(design, curves, float(spread), float(noise), leaving)


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
    count = np.bincount(span[inside], minlength=len(spans) - 1)
    total = np.bincount(span[inside], loss[inside], minlength=len(spans) - 1)
    above = np.where(count > 0, total / np.maximum(count, 1) - c, np.nan)
    return np.where(above > 0, above, np.nan) / (above[-1] if above[-1] > 0 else np.nan)


def leave_bundle(
    n: Array, counts: Array, log_r: Array, variance: Array, dof: int
) -> tuple[Leaving, ...]:
    """Sizes whose curves are not those of the others.

    n, counts: (sizes,), the runs of each; log_r: (sizes, spans), their means; variance: (spans,) of
    one run, by its seeds, with `dof` degrees of freedom. The greatest distance that would be rare
    among all sizes and spans (Bonferroni) is named and taken out; then the rest is looked at again.
    """
    found: list[Leaving] = []
    while len(n) >= MIN_SIZES:
        away, p = np.array(
            [_distance(np.log(n), counts, log_r, k, variance, dof) for k in range(len(n))]
        ).swapaxes(0, 1)
        p = np.minimum(p * p.size, 1.0)
        k, span = np.unravel_index(np.argmin(p), p.shape)
        if p[k, span] > LEVEL:
            break
        middle = float(SPANS[span : span + 2].mean())
        found.append(Leaving(float(n[k]), middle, float(np.exp(away[k, span])), float(p[k, span])))
        n, counts, log_r = (np.delete(values, k, axis=0) for values in (n, counts, log_r))
    return tuple(found)


def _distance(
    x: Array, counts: Array, log_r: Array, k: int, variance: Array, dof: int
) -> tuple[Array, Array]:
    """Size k's distance (spans,) from the line through the others, and its two-sided p (spans,)."""
    others = np.arange(len(x)) != k
    line = np.stack([np.ones_like(x), x - x.mean()], axis=1)
    root = np.sqrt(counts[others])[:, None]
    solver = np.linalg.pinv(line[others] * root)
    fitted = solver @ (log_r[others] * root)
    about = (((log_r - line @ fitted)[others] * root) ** 2).sum(axis=0) / (len(x) - 3)
    away = log_r[k] - line[k] @ fitted
    own = 1 / counts[k] + np.sum((line[k] @ solver) ** 2)
    error = np.sqrt(np.maximum(about, variance) * own)
    t = np.abs(away) / np.maximum(error, 1e-12)
    return away, 2 * t_distribution.sf(t, dof + len(x) - 3)


def _points(curve: object, tokens: float) -> tuple[Array, Array]:
    """t / T and loss (points,) of a recorded curve, without what is not finite."""
    if not isinstance(curve, list) or not tokens > 0:
        return np.empty(0), np.empty(0)
    points = np.array(curve, dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    return points[:, 0] / tokens, points[:, 1]


def _by_size(group: Array, n: Array, values: Array) -> tuple[Array, Array, Array]:
    """Sizes (sizes,), their runs (sizes,), and the mean over these of `values` (runs, m)."""
    of_size = (group == np.arange(group.max() + 1)[:, None]).astype(float)
    counts = of_size.sum(axis=1)
    return of_size @ n / counts, counts, of_size @ values / counts[:, None]


def _seeds(group: Array, log_r: Array) -> tuple[Array, int]:
    """Variance of a run within its size (spans,), and its degrees of freedom."""
    _, counts, mean = _by_size(group, np.ones(len(group)), log_r)
    dof = int(counts.sum()) - len(counts)
    return ((log_r - mean[group]) ** 2).sum(axis=0) / max(dof, 1), dof


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
