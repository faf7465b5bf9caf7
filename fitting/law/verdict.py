"""What the data say of a law: supported, weak, or not supported, and why, in plain words.

Not supported: the numbers contradict the law, or there are too few to tell. Weak: the law may hold,
but something that matters is undetermined. Supported: no reason against it was found, although each
test could have found one. The three tests that can reject a true law are made at the 0.5 % level,
so that together they reject far fewer than one in twenty.

Whether the losses fall at all is tested at 5 %. A stricter test would harm the intervals: where the
noise is estimated from the same few runs, the sweeps that pass are those whose noise was
underestimated by luck, and their intervals are then too narrow (with six single runs and 2 % noise,
coverage of alpha was .92 when tested at 0.5 % and .94 when tested at 5 %; standard error about
.01).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from fitting.law.held_out import HeldOut, Influence
from fitting.law.intervals import Interval
from fitting.law.noise import DIGITS, Array
from fitting.law.power_law import PowerLaw
from fitting.runs.axis import N_PARAMS, Axis
from fitting.runs.groups import SAME_SIZE, groups

Word = Literal["supported", "weak", "not supported"]
LEVEL = 0.005
TREND_LEVEL = 0.05
LOGARITHM_LEVEL = 0.05
BEND_LEVEL = 0.02
MIN_SIZES = 4
MIN_REPEATS = 3
WIDE_ALPHA = 0.5
"""Half width of the interval of alpha over alpha, beyond which alpha is undetermined."""
WIDE_C = 0.5
"""Width of the interval of c over the lowest loss, beyond which c is undetermined."""


@dataclass(frozen=True)
class Verdict:
    """A word and the reasons for it, the gravest first."""

    word: Word
    reasons: tuple[str, ...]


def judge(
    law: PowerLaw | None,
    alpha: Interval,
    c: Interval,
    held_out: HeldOut | None,
    influence: tuple[Influence, ...],
    n_sizes: int,
    warnings: tuple[str, ...],
    axis: Axis = N_PARAMS,
) -> Verdict:
    """The verdict on one law. `warnings` come from the selection of the runs."""
    against = _against(law, held_out, n_sizes, axis)
    doubts = [] if law is None or against else _doubts(law, alpha, c, influence, axis)
    word: Word = "not supported" if against else "weak" if doubts or warnings else "supported"
    return Verdict(word, (*against, *doubts, *warnings))


def _against(law: PowerLaw | None, held_out: HeldOut | None, n_sizes: int, axis: Axis) -> list[str]:
    if n_sizes < MIN_SIZES or law is None or law.dof < 1:
        return [
            f"found {n_sizes} {'value' if n_sizes == 1 else 'values'} of {axis.symbol} "
            f"({axis.unit}); a law with a, alpha and c needs {MIN_SIZES}"
        ]
    reasons = []
    if rise_p(law) < TREND_LEVEL:
        reasons.append(f"the losses rise with more {axis.unit}")
    elif trend_p(law) > TREND_LEVEL:
        reasons.append(_no_trend(law, axis))
    elif law.bound == "alpha":
        reasons.append(f"alpha ran to the bound of its search ({law.alpha:.3g})")
    index, p = outlier(law)
    if p < LEVEL and not _smallest(law, index) and law.a > 0:
        reasons.append(
            f"one run is an outlier: {_miss(law, index, axis)}; look at its training curve"
        )
    bend = bend_p(law, sizes_differ=True)
    if bend < LEVEL:
        reasons.append(
            f"the losses bend away from the law (p = {bend:.1g}): they follow another curve"
        )
    if held_out is not None and held_out.observed not in held_out.wide:
        reasons.append(
            f"the largest, when held out, was predicted at {held_out.predicted:.4g} "
            f"{held_out.interval} but came out at {held_out.observed:.4g}"
        )
    if not law.converged:
        reasons.append(f"the fit did not converge (gradient {law.gradient:.1e})")
    return reasons


def _no_trend(law: PowerLaw, axis: Axis) -> str:
    """Why the losses cannot be shown to fall: they scatter, or there are too few runs."""
    size = groups(law.n, SAME_SIZE)
    means = np.bincount(size, law.loss) / np.bincount(size)
    falls = np.diff(means) < 0
    if falls.all():
        return (
            f"too few runs to tell: the loss falls with {axis.unit} at each of {len(falls)} steps, "
            f"but {len(law.n)} runs leave {law.dof} degrees of freedom for the noise"
        )
    lowest = int(np.argmin(means))
    if lowest > 0 and falls[:lowest].all() and not falls[lowest:].any():
        at = float(law.n[size == lowest].mean())
        return f"the losses fall up to {axis.amount(at)} and rise after that"
    return "the losses scatter about the law too much to show that they fall along it"


def _miss(law: PowerLaw, index: int, axis: Axis) -> str:
    """Where a run lies and by how much it misses the law, with enough digits to show the miss."""
    loss, told = float(law.loss[index]), float(law.predict(law.n[index]))
    digits = max(3, 1 - int(np.floor(np.log10(max(abs(loss - told), 1e-9)))))
    return (
        f"at {axis.amount(law.n[index])} the loss is {loss:.{digits}f}, the law says "
        f"{told:.{digits}f} ({100 * (loss / told - 1):+.2g} %)"
    )


def _smallest(law: PowerLaw, index: int) -> bool:
    return bool(law.n[index] <= law.n.min() * (1 + SAME_SIZE))


def _doubts(
    law: PowerLaw, alpha: Interval, c: Interval, influence: tuple[Influence, ...], axis: Axis
) -> list[str]:
    reasons = []
    if (alpha.high - alpha.low) / 2 > WIDE_ALPHA * law.alpha:
        reasons.append(f"alpha is poorly determined: anywhere in {alpha}")
    if c.high - c.low > WIDE_C * law.loss.min():
        reasons.append(f"c is not identifiable: anywhere in {c}")
    if logarithm_p(law) > LOGARITHM_LEVEL:
        reasons.append(
            f"a straight line in log {axis.symbol}, which has no alpha, fits about as well"
        )
    bend = bend_p(law)
    if bend < BEND_LEVEL:
        reasons.append(
            f"the losses bend away from the law (p = {bend:.1g}): alpha may not be the same at "
            "small and at large sizes"
        )
    index, p = outlier(law)
    if p < LEVEL:
        reasons.append(f"the law may begin later: {_miss(law, index, axis)}")
    misfit = misfit_p(law)
    if misfit < LEVEL:
        reasons.append(
            "the sizes miss the law by more than their seeds differ among themselves "
            f"(p = {misfit:.1g}): luck of a size, which the intervals allow for, or another curve"
        )
    if repeats(law) < MIN_REPEATS:
        reasons.append(
            f"repeated runs: {repeats(law)}; without several seeds per size, the noise is "
            "estimated from the fit itself, and a bend away from the law cannot be seen"
        )
    moved = [i for i in influence if i.alpha not in alpha]
    if moved:
        reasons.append(
            f"one run decides: without the one at {axis.amount(moved[0].n)} "
            f"(loss {moved[0].loss:.4g}) alpha is {moved[0].alpha:.3g}"
        )
    return reasons


def trend_p(law: PowerLaw) -> float:
    """Probability of so good a fit if size had no effect: a test against a constant loss."""
    y = _observed(law)
    flat = float(law.weight @ (y - np.average(y, weights=law.weight)) ** 2)
    return law.spread.tail(flat - law.rss, 2)


def rise_p(law: PowerLaw) -> float:
    """Probability of so clear a rise with log N if there were none; 1 where the losses fall."""
    root = np.sqrt(law.weight)
    design = np.stack([np.ones_like(law.n), np.log(law.n)], axis=1) * root[:, None]
    y = _observed(law) * root
    (start, slope), *_ = np.linalg.lstsq(design, y, rcond=None)
    if slope <= 0:
        return 1.0
    dof = len(y) - 2
    rest = float(((y - design @ [start, slope]) ** 2).sum()) + dof * DIGITS**2
    spread = slope * np.sqrt(dof / (rest * np.linalg.inv(design.T @ design)[1, 1]))
    return float(t_distribution.sf(spread, dof))


def misfit_p(law: PowerLaw) -> float:
    """Lack-of-fit F test: the misfit of the size means against the spread of their seeds.

    1.0 where no run was repeated, or where there are no more sizes than parameters.
    """
    spread = law.spread
    if spread.within_dof < 1 or spread.between_dof < 1:
        return 1.0
    seeds = spread.within / spread.within_dof + DIGITS**2
    ratio = spread.between / spread.between_dof / seeds
    return float(f_distribution.sf(ratio, spread.between_dof, spread.within_dof))


def logarithm_p(law: PowerLaw) -> float:
    """Test of the law against L = p - q log N, its limit as alpha goes to 0.

    One-sided: half the p-value of the F distribution, because alpha can only be above 0.
    """
    design = np.stack([np.ones_like(law.n), np.log(law.n)], axis=1)
    root = np.sqrt(law.pass_weight)
    solution = np.linalg.lstsq(design * root[:, None], law.pass_z * root, rcond=None)[0]
    line = design @ solution
    if np.any(line <= 0):
        return 0.0
    r = np.log(law.loss / line) if law.residual == "log" else law.loss - line
    return law.spread.tail(float(law.weight @ r**2) - law.rss, 1) / 2


def outlier(law: PowerLaw) -> tuple[int, float]:
    """The run with the largest externally studentised residual, and its Bonferroni-corrected p."""
    r = law.residuals() * np.sqrt(law.weight)
    dof = law.dof - 1
    if dof < 1:
        return 0, 1.0
    q, _ = _tangent(law)
    left = np.maximum(1 - (q**2).sum(axis=1), 1e-9)
    variance = np.maximum(law.rss - r**2 / left, 0) / dof + DIGITS**2
    t = np.abs(r) / np.sqrt(variance * left)
    worst = int(np.argmax(t))
    return worst, min(1.0, 2 * float(t_distribution.sf(t[worst], dof)) * len(r))


def bend_p(law: PowerLaw, *, sizes_differ: bool = False) -> float:
    """Score test (Rao 1948) against alpha that changes with log N, two-sided.

    The bend is the derivative with respect to b of a N^-(alpha + b log N), less what changes of a,
    alpha and c can imitate. It is sharper than `misfit_p`, which looks in all directions at once.
    The noise is that of the runs about the law; with `sizes_differ` it also includes luck shared by
    the runs of a size, which hides all but clear bends where there are few sizes.
    """
    q, bend = _tangent(law)
    bend = bend - q @ (q.T @ bend)
    length = float(np.linalg.norm(bend))
    if length < 1e-9 or law.dof < 2:
        return 1.0
    along = float(bend @ (law.residuals() * np.sqrt(law.weight))) / length
    if not sizes_differ:
        rest = max(law.rss - along**2, 0.0) / (law.dof - 1) + DIGITS**2
        return 2 * float(t_distribution.sf(abs(along) / np.sqrt(rest), law.dof - 1))
    spread = law.spread
    if spread.between_dof < 2:
        return 1.0
    between = max(spread.between - along**2, 0.0)
    return replace(spread, between=between, between_dof=spread.between_dof - 1).tail(along**2, 1)


def _observed(law: PowerLaw) -> Array:
    return np.log(law.loss) if law.residual == "log" else law.loss


def _tangent(law: PowerLaw) -> tuple[Array, Array]:
    """What the fit can do to the residuals, as (runs, free) orthonormal columns, and what a bend
    would do, (runs,)."""
    x = np.log(law.n) - np.log(law.n).mean()
    basis = np.exp(-law.alpha * x)
    # A parameter at its bound does not move with a run: its column would claim a share of the
    # residuals that the fit never took from them.
    free = {"a": [2], "alpha": [0, 2], "c": [0, 1], "": [0, 1, 2]}[law.bound]
    columns = np.stack([basis, basis * x, np.ones_like(basis)], axis=1)[:, free]
    root = np.sqrt(law.pass_weight)
    q, _ = np.linalg.qr(columns * root[:, None])
    return q, basis * x**2 * root


def repeats(law: PowerLaw) -> int:
    """Degrees of freedom of the noise that come from repeated runs of a size."""
    return law.spread.within_dof
