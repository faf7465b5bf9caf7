"""What the runs say of L(N, D): supported, weak, or not supported, in plain words.

The three words and their levels are those of `fitting.law.verdict`. First comes a question that a
law in N alone does not raise: whether the runs tell the two terms apart at all. Where every run has
D = 20 N they do not, and a fit gives exponents, with a fine objective, that mean nothing.
"""

import numpy as np
from scipy.stats import f as f_distribution

from fitting.law.intervals import Interval
from fitting.law.power_law import Array, fit
from fitting.law.verdict import BEND_LEVEL, LEVEL, TREND_LEVEL, WIDE_ALPHA, WIDE_C, Verdict, Word
from fitting.surface.fit import Surface
from fitting.surface.held_out import HeldOutRuns
from fitting.surface.noise import EXACT, Noise
from fitting.surface.region import Region
from fitting.surface.tangent import bend_p, condition, outlier

MAX_CONDITION = 150.0
"""Largest sound condition number of the scaled Jacobian. In simulations (EXPERIMENTS.md) full grids
and isoFLOP designs lie at 25 to 70; D = 20 N within 5 % lies above in 99 of 100 cases, and with
50 % of jitter mostly below."""
TIED = 0.7
"""Spread of log D about a line in log N below which tokens are said to follow the size."""
MIN_FREE = 10
"""Degrees of freedom from which a misfit shows even without repeated runs."""
MIN_REPEATS = 3


def refusal(surface: Surface, region: Region) -> str:
    """Why the runs do not identify the exponents, in one sentence; "" where they do."""
    number = condition(surface)
    loose = not surface.bounded or number > MAX_CONDITION
    alone = (("N", surface.d), ("D", surface.n))
    needless = [name for name, kept in alone if _needless_p(surface, kept) > TREND_LEVEL]
    tied = _tied(surface)
    if tied and (loose or needless):
        return f"the terms of N and of D cannot be told apart: {tied}"
    if needless:
        return f"the losses scatter too much to show that they fall with {' or '.join(needless)}"
    if loose:
        return (
            f"the runs do not determine five numbers (condition number {number:.3g}; at most "
            f"{MAX_CONDITION:g} is sound): add seeds, or sizes and budgets further apart"
        )
    for name, interval in (("alpha", region.alpha_interval()), ("beta", region.beta_interval())):
        if interval.low <= 0 or np.isinf(interval.high):
            remedy = tied or "add seeds, or sizes and budgets further apart"
            return f"{name} is undetermined, anywhere in {interval}: {remedy}"
    return ""


def judge(
    surface: Surface,
    huber: Surface,
    noise: Noise,
    region: Region,
    held_out: HeldOutRuns | None,
    refused: str,
) -> Verdict:
    """The verdict on one surface; `refused` says why it has no exponents."""
    against = [refused] if refused else _against(surface, huber, region, held_out)
    doubts = [] if against else _doubts(surface, huber, noise, region, held_out)
    word: Word = "not supported" if against else "weak" if doubts else "supported"
    return Verdict(word, (*against, *doubts))


def _against(
    surface: Surface, huber: Surface, region: Region, held_out: HeldOutRuns | None
) -> list[str]:
    reasons: list[str] = []
    moved = any(o not in interval for _, _, o, interval in _exponents(surface, huber, region))
    square = np.log(surface.loss / surface.predict(surface.n, surface.d)) ** 2
    if moved or square.max() > square.sum() / 2:
        reasons += _apart(surface)
    if held_out is not None and held_out.contradicted:
        reasons.append(
            f"{held_out.what}, held out, was predicted {held_out.relative_error:+.2%} off "
            "by the other runs, beyond the interval"
        )
    if surface.gradient > 1e-6 and 2 * surface.objective > len(surface.loss) * EXACT**2:
        reasons.append(f"the fit did not converge (gradient {surface.gradient:.1e})")
    return reasons


def _doubts(
    surface: Surface,
    huber: Surface,
    noise: Noise,
    region: Region,
    held_out: HeldOutRuns | None,
) -> list[str]:
    reasons = []
    for name, value, other, interval in _exponents(surface, huber, region):
        if (interval.high - interval.low) / 2 > WIDE_ALPHA * value:
            reasons.append(f"{name} is poorly determined: anywhere in {interval}")
        if other not in interval:
            reasons.append(
                f"with outliers downweighted (Huber) {name} is {other:.3g}, outside {interval}"
            )
    floor = region.floor_interval()
    if floor.high - floor.low > WIDE_C * surface.loss.min():
        reasons.append(f"E is not identifiable: anywhere in {floor}")
    misfit, bend = noise.misfit_p(), bend_p(surface)
    if misfit < LEVEL:
        reasons.append(
            "sizes and budgets miss the surface by more than their seeds differ "
            f"(p = {misfit:.1g}); the intervals allow for it"
        )
    if bend < BEND_LEVEL:
        reasons.append(
            f"the losses bend away from the surface (p = {bend:.1g}): its exponents may not be the "
            "same at larger N and D; predictions are widened to allow for it"
        )
    if noise.pure_dof < MIN_REPEATS and noise.misfit_dof < MIN_FREE:
        reasons.append(
            f"found {len(surface.loss)} runs for 5 numbers, {noise.pure_dof} of them repeats; "
            f"seeing a misfit takes {MIN_REPEATS} repeats or {MIN_FREE + 5} runs"
        )
    reasons += _apart(surface)
    if held_out is None:
        reasons.append("too few runs to hold out the largest compute and predict it")
    return reasons


def _exponents(
    surface: Surface, huber: Surface, region: Region
) -> tuple[tuple[str, float, float, Interval], ...]:
    """Name, value, value with outliers downweighted, and interval of both exponents."""
    return (
        ("alpha", surface.alpha, huber.alpha, region.alpha_interval()),
        ("beta", surface.beta, huber.beta, region.beta_interval()),
    )


def _apart(surface: Surface) -> list[str]:
    """A sentence on the run that is an outlier, if there is one.

    It counts against the surface where it moves an exponent, or makes up most of the scatter behind
    the intervals: one slightly stray run in a hundred does not change the law.
    """
    index, p = outlier(surface)
    if p >= LEVEL:
        return []
    n, d, loss = surface.n[index], surface.d[index], surface.loss[index]
    told = float(surface.predict(n, d))
    return [
        f"one run is an outlier: at N = {n:.3g}, D = {d:.3g} the loss is {loss:.4g}, the surface "
        f"says {told:.4g} ({100 * (loss / told - 1):+.2g} %); look at its training curve"
    ]


def _needless_p(surface: Surface, kept: Array) -> float:
    """F test of the surface against a law in `kept` alone, which is N or D."""
    dof = len(kept) - 5
    left = 2 * surface.objective
    if left <= len(kept) * EXACT**2:
        return 0.0
    return float(
        f_distribution.sf(max(fit(kept, surface.loss).rss - left, 0) / 2 / (left / dof), 2, dof)
    )


def _tied(surface: Surface) -> str:
    """A clause saying that tokens follow the size; "" where they do not."""
    x, y = np.log(surface.n), np.log(surface.d)
    slope, height = np.polyfit(x, y, 1)
    apart = float(np.std(y - slope * x - height))
    if apart > TIED:
        return ""
    return (
        f"tokens follow the size, D = {np.exp(height):.3g} N^{slope:.3g} within "
        f"{np.expm1(apart):.1%}; train each size at several budgets".replace("%", " %")
    )
