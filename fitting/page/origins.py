"""The section of report.html on where tokens come from: a row a class and architecture."""

import math

from fitting.arch_law import ArchLaw
from fitting.law.origins import OriginLaw
from fitting.page.markup import bracketed, table
from fitting.page.markup import section as marked
from fitting.runs.loss import OF_ORIGIN

HEAD = ("", "", "share", "loss at the largest", "α", "verdict", "why")


def section(laws: dict[str, ArchLaw]) -> str:
    """The section as HTML; "" where no run was measured by class."""
    rows = [
        _row(arch, each)
        for origin in OF_ORIGIN
        for arch, law in laws.items()
        for each in law.by_origin
        if each.origin == origin
    ]
    return marked(
        "What the loss is made of",
        table("Loss by where tokens come from", list(HEAD), rows),
        lead="Each token of the validation split is of one class, by the few tokens before it: "
        + "; ".join(OF_ORIGIN.values())
        + ". Shares times losses add up to the loss. Each class has its law, as the whole has.",
    )


def _row(arch: str, law: OriginLaw) -> list[str]:
    error = "" if math.isnan(law.error) else f" ± {law.error:.3f}"
    falls = law.fit is not None and law.fit.a > 0
    return [
        law.origin,
        arch,
        f"{100 * law.share:.1f} %",
        f"{law.at_largest:.3f}{error}",
        f"{law.fit.alpha:.3g} {bracketed(law.alpha_interval)}" if law.fit and falls else "–",
        law.verdict.word,
        law.verdict.reasons[0] if law.verdict.reasons else "",
    ]
