"""The section of report.html on where tokens come from: what each class costs, and its laws."""

import math
from collections.abc import Mapping

from fitting.analysis import Analysis
from fitting.arch_law import ArchLaw
from fitting.law.origins import OriginLaw
from fitting.page.markup import bracketed, plot_box, table
from fitting.page.markup import section as marked
from fitting.runs.axis import Axis
from fitting.runs.groups import SAME_SIZE, groups
from fitting.runs.loss import OF_ORIGIN, VAL_LOSS

LEAD = (
    "A token of the validation split repeats what followed the same few tokens earlier in its "
    "piece, breaks such a repeat, is shared with the training split without one, or is new. Losses "
    "at the largest size in nats per token, with standard errors over works; shares times losses "
    "add up to the whole."
)
COUNTED = " Below the architectures, what counting alone reaches: it learns nothing."
LAWS = ("", "", "\N{GREEK SMALL LETTER ALPHA}", "verdict", "why")


def section(analysis: Analysis) -> str:
    """The section as HTML; "" where no run was measured by class, and nobody counted."""
    measured = {arch: law for arch, law in analysis.laws.items() if law.by_origin}
    losses = {arch: _at_largest(law, analysis.axis) for arch, law in measured.items()}
    losses |= analysis.baselines
    shares = {
        origin: next((each[name] for each in losses.values() if name in each), math.nan)
        for origin in OF_ORIGIN
        if (name := f"{VAL_LOSS}_{origin}_share")
    }
    there = [origin for origin, share in shares.items() if share > 0]
    head = ["", "all", *(f"{origin}, {100 * shares[origin]:.1f} %" for origin in there)]
    columns = [VAL_LOSS, *(f"{VAL_LOSS}_{origin}" for origin in there)]
    rows = [[name, *(_loss(each, column) for column in columns)] for name, each in losses.items()]
    laws = [
        [origin, arch, *_judged(each)]
        for origin in there
        for arch, law in measured.items()
        for each in law.by_origin
        if each.origin == origin
    ]
    return marked(
        "What the loss is made of",
        table("Loss by where tokens come from", head, rows),
        *(
            f"<h3>{OF_ORIGIN[origin].capitalize()}</h3>{plot_box(f'origin-{origin}')}"
            for origin in OF_ORIGIN
            if any(each.origin == origin for law in measured.values() for each in law.by_origin)
        ),
        table("Laws by where tokens come from", list(LAWS), laws),
        lead=LEAD + COUNTED * bool(analysis.baselines),
    )


def _at_largest(law: ArchLaw, axis: Axis) -> dict[str, float]:
    """What the largest runs of an architecture measured, by the names of `fitting.contract`."""
    runs = law.selection.runs
    sizes = groups(runs[axis.column], SAME_SIZE)
    largest = runs[sizes == sizes.max()]
    found = {end: float(largest[f"{VAL_LOSS}{end}"].mean()) for end in ("", "_se")}
    for each in law.by_origin:
        found |= {
            f"_{each.origin}": each.at_largest,
            f"_{each.origin}_se": each.error,
            f"_{each.origin}_share": each.share,
        }
    return {f"{VAL_LOSS}{end}": value for end, value in found.items()}


def _loss(measured: Mapping[str, float], column: str) -> str:
    if column not in measured:
        return "–"
    error = measured.get(f"{column}_se", math.nan)
    return f"{measured[column]:.3f}" + ("" if math.isnan(error) else f" ± {error:.3f}")


def _judged(law: OriginLaw) -> list[str]:
    """The exponent, the verdict, and its first reason."""
    falls = law.fit is not None and law.fit.a > 0
    exponent = f"{law.fit.alpha:.3g} {bracketed(law.alpha_interval)}" if law.fit and falls else "–"
    return [exponent, law.verdict.word, law.verdict.reasons[0] if law.verdict.reasons else ""]
