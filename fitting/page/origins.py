"""The section of report.html on where tokens come from: a row a class and architecture."""

import math
from collections.abc import Mapping

from fitting.analysis import Analysis
from fitting.arch_law import ArchLaw
from fitting.law.intervals import Interval
from fitting.law.origins import OriginLaw
from fitting.law.power_law import PowerLaw
from fitting.law.verdict import Verdict
from fitting.page.markup import bracketed, table
from fitting.page.markup import section as marked
from fitting.runs.axis import Axis
from fitting.runs.groups import SAME_SIZE, groups
from fitting.runs.loss import OF_ORIGIN, VAL_LOSS

HEAD = ("", "", "share", "loss at the largest", "α", "verdict", "why")
COUNTED = "counting alone"
"""In the place of a verdict."""


def section(analysis: Analysis) -> str:
    """The section as HTML; "" where no run was measured by class, and nobody counted."""
    rows = [
        _whole(arch, law, analysis.axis) for arch, law in analysis.laws.items() if law.by_origin
    ]
    rows += [_counted("all", name, each, VAL_LOSS) for name, each in analysis.baselines.items()]
    for origin in OF_ORIGIN:
        rows += [
            _row(arch, each)
            for arch, law in analysis.laws.items()
            for each in law.by_origin
            if each.origin == origin
        ]
        column = f"{VAL_LOSS}_{origin}"
        rows += [
            _counted(origin, name, each, column)
            for name, each in analysis.baselines.items()
            if column in each
        ]
    learns = " Baselines that learn nothing count what followed the same tokens before."
    return marked(
        "What the loss is made of",
        table("Loss by where tokens come from", list(HEAD), rows),
        lead="Each token of the validation split is of one class, by the few tokens before it: "
        + "; ".join(OF_ORIGIN.values())
        + ". Shares times losses add up to the loss. Each class has its law, as the whole has."
        + learns * bool(analysis.baselines),
    )


def _whole(arch: str, law: ArchLaw, axis: Axis) -> list[str]:
    runs = law.selection.runs
    sizes = groups(runs[axis.column], SAME_SIZE)
    largest = runs[sizes == sizes.max()]
    loss = _loss(largest[VAL_LOSS].mean(), largest[f"{VAL_LOSS}_se"].mean())
    return ["all", arch, "100.0 %", loss, *_judged(law.fit, law.alpha_interval, law.verdict)]


def _row(arch: str, law: OriginLaw) -> list[str]:
    loss = _loss(law.at_largest, law.error)
    judged = _judged(law.fit, law.alpha_interval, law.verdict)
    return [law.origin, arch, f"{100 * law.share:.1f} %", loss, *judged]


def _judged(fit: PowerLaw | None, alpha: Interval, verdict: Verdict) -> list[str]:
    """The exponent, the verdict, and its first reason."""
    exponent = f"{fit.alpha:.3g} {bracketed(alpha)}" if fit and fit.a > 0 else "–"
    return [exponent, verdict.word, verdict.reasons[0] if verdict.reasons else ""]


def _counted(origin: str, name: str, measured: Mapping[str, float], column: str) -> list[str]:
    share = 100 * measured.get(f"{column}_share", 1.0)
    loss = _loss(measured[column], measured.get(f"{column}_se", math.nan))
    return [origin, name, f"{share:.1f} %", loss, "–", COUNTED, ""]


def _loss(value: float, error: float) -> str:
    return f"{value:.3f}" + ("" if math.isnan(error) else f" ± {error:.3f}")
