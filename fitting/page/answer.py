"""The first screen of report.html: the results for each architecture and each pair."""

from collections import Counter
from html import escape

from fitting.analysis import Analysis
from fitting.arch_law import ArchLaw
from fitting.compare.comparison import Comparison, NotCompared
from fitting.law.extrapolation import PUBLISHED_INSIDE, PUBLISHED_POINTS
from fitting.law.verdict import Verdict, Word
from fitting.page.markup import bracketed, table
from fitting.runs.axis import Axis
from fitting.surface.law import SurfaceLaw

MEANING: dict[Word, str] = {
    "supported": "Nothing in the runs contradicts this law.",
    "weak": "The runs fit this law; what is in doubt:",
    "not supported": "The runs do not show a law:",
}
SIZE_WORD = {"n_params": "size", "tokens": "data", "flops": "compute"}
"""The word for the axis in a sentence."""
GROWS = {
    "n_params": "the model grows",
    "tokens": "the training data grow",
    "flops": "the training compute grows",
}
CROWD = 12
"""With more architectures than this, each gets a table row instead of a card."""
MAX_PAIRS = 10
"""With more pairs than this, there is a table and the sentences are folded."""


def lead(analysis: Analysis) -> str:
    """The question, and what the letters mean."""
    if any(law.leading_surface for law in analysis.laws.values()):
        return (
            "How the loss of each architecture falls with parameters N and tokens D. Lower is "
            "better. The exponents α and β say how fast; E is the loss that neither removes."
        )
    return (
        f"How the loss of each architecture falls as {GROWS[analysis.axis.column]}. Lower is "
        "better. The exponent α says how fast; c is the loss that no such growth removes."
    )


def answers(analysis: Analysis) -> str:
    """A card per architecture; for many of them, a table with the lowest loss first."""
    laws = list(analysis.laws.values())
    if len(laws) <= CROWD:
        cards = "".join(_card(law, analysis.axis) for law in laws)
        return f'<div class="answers">{cards}</div>{_beyond(laws)}'
    laws.sort(key=lambda law: (law.selection.all_budgets["val_loss"].min(), law.arch))
    head = ["", "verdict", "lowest loss", "α", "c", "why"]
    rows = [
        [
            law.arch,
            law.lead_verdict.word,
            f"{law.selection.all_budgets['val_loss'].min():.4g}",
            f"{law.alpha:.3g} {bracketed(law.alpha_interval)}" if law.fit else "–",
            f"{law.c:.3g} {bracketed(law.c_interval)}" if law.fit else "–",
            law.lead_verdict.reasons[0] if law.lead_verdict.reasons else "",
        ]
        for law in laws
    ]
    words = Counter(law.lead_verdict.word for law in laws)
    counts = ", ".join(f"{count} {word}" for word, count in words.most_common())
    listed = table("Architectures", head, rows, fold=False)
    return f"<p>{len(laws)} architectures: {counts}.</p>{listed}"


def pairs(analysis: Analysis) -> str:
    """A sentence per pair; for many pairs, a table of wins, with the sentences folded."""
    sentences = "".join(f"<p class=versus>{escape(c.sentence())}</p>" for c in analysis.comparisons)
    refused = _refused(analysis.not_compared)
    if len(analysis.comparisons) <= MAX_PAIRS:
        return sentences + refused
    head = ["", "ahead of", "behind", "no difference from"]
    folded = f"<details><summary>Pair by pair</summary>{sentences}</details>"
    standing = _standing(analysis.comparisons, analysis.axis)
    return table("Pairs by architecture", head, standing) + folded + refused


def _card(law: ArchLaw, axis: Axis) -> str:
    surface = law.leading_surface
    said = _surface(surface, law, axis) if surface else _law(law, axis)
    verdict = law.lead_verdict
    return (
        f"<article class={verdict.word.replace(' ', '-')}>"
        f"<h2>{escape(law.arch)} <span class=verdict>{verdict.word}</span></h2>"
        f"<p class=meaning>{MEANING[verdict.word]}</p>{said}{_reasons(verdict)}</article>"
    )


def _law(law: ArchLaw, axis: Axis) -> str:
    if not law.falls:
        return "<p class=none>no law</p>"
    said = (
        f"<p class=law>{_equation(law, axis)}</p>"
        f"<p class=interval>α = {law.alpha:.3g} {bracketed(law.alpha_interval)}, "
        f"c = {law.c:.3g} {bracketed(law.c_interval)}</p>"
    )
    if law.alternatives and law.verdict.word != "not supported":
        said += f"<p>{escape(law.alternatives.sentence())}</p>"
    if axis.column == "n_params" and law.selection.along:
        both = " α describes size and tokens together." if law.selection.tokens_vary else ""
        said += f"<p>{escape(_saw(law))}{both}</p>"
    if law.beyond:
        said += (
            f"<p>Ten times the {SIZE_WORD[axis.column]}: loss {law.beyond.now:.3f} → "
            f"{law.beyond.then:.3f} {bracketed(law.beyond.interval)} if the same law continues; "
            f"{bracketed(law.beyond.by_form)} if the fall slows down in any way.</p>"
        )
    return said


def _surface(surface: SurfaceLaw, law: ArchLaw, axis: Axis) -> str:
    fitted = surface.surface
    said = (
        f"<p class=law>L(N, D) = {fitted.E:.3g} + {fitted.A:.3g} N<sup>−{fitted.alpha:.3g}</sup> + "
        f"{fitted.B:.3g} D<sup>−{fitted.beta:.3g}</sup></p>"
        f"<p class=interval>α = {fitted.alpha:.3g} {bracketed(surface.alpha)}, "
        f"β = {fitted.beta:.3g} {bracketed(surface.beta)}, "
        f"E = {fitted.E:.3g} {bracketed(surface.E)}</p>"
        f"<p>The best size grows as C<sup>{fitted.optimal_exponent:.3g}</sup> "
        f"{bracketed(surface.optimal_exponent)}.</p>"
    )
    if law.fit and law.verdict.word != "not supported":
        said += f"<p>Along the frontier of compute {_equation(law, axis)} ({law.verdict.word}).</p>"
    return said


def _equation(law: ArchLaw, axis: Axis) -> str:
    symbol = axis.symbol
    return f"L({symbol}) = {law.a:.3g} {symbol}<sup>−{law.alpha:.3g}</sup> + {law.c:.3g}"


def _saw(law: ArchLaw) -> str:
    along = law.selection.along
    return f"Tokens grow with the size: {along}." if law.selection.tokens_vary else f"At {along}."


def _reasons(verdict: Verdict) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in verdict.reasons)}</ul>"


def _beyond(laws: list[ArchLaw]) -> str:
    """How far to trust extrapolation, once for all cards."""
    if not any(law.beyond for law in laws if not law.leading_surface):
        return ""
    return (
        "<p class=lead>Runs within the fitted range cannot tell whether a law continues beyond it: "
        f"of {PUBLISHED_POINTS} published runs 5 to 20 times larger than those fitted, "
        f"{100 * PUBLISHED_INSIDE:.0f} % lay within the law's interval.</p>"
    )


def _refused(refused: tuple[NotCompared, ...]) -> str:
    """The pairs that are not compared, grouped by reason."""
    by_reason: dict[str, list[str]] = {}
    for pair in refused:
        by_reason.setdefault(pair.reason, []).append(f"{pair.first} and {pair.second}")
    lines = [
        f"<li>{escape(', '.join(named[:3]))}{f' and {len(named) - 3} more' * (len(named) > 3)}: "
        f"{escape(reason)}</li>"
        for reason, named in by_reason.items()
    ]
    if not lines:
        return ""
    folded = f"<ul>{''.join(lines)}</ul>"
    if len(lines) > MAX_PAIRS:
        return f"<details><summary>{len(refused)} pairs not compared</summary>{folded}</details>"
    return f"<p>Not compared:</p>{folded}"


def _standing(comparisons: tuple[Comparison, ...], axis: Axis) -> list[list[str]]:
    """How often each architecture is ahead, behind or neither, along the axis of the laws."""
    counts: dict[str, Counter[str]] = {}
    for pair in comparisons:
        if pair.axis != axis.column:
            continue
        one, two = (counts.setdefault(name, Counter()) for name in (pair.first, pair.second))
        ahead = pair.loss_interval.high < 0
        behind = pair.loss_interval.low > 0
        one["ahead" if ahead else "behind" if behind else "neither"] += 1
        two["behind" if ahead else "ahead" if behind else "neither"] += 1
    order = sorted(counts, key=lambda name: (-counts[name]["ahead"], counts[name]["behind"], name))
    return [
        [name, *(str(counts[name][word]) for word in ("ahead", "behind", "neither"))]
        for name in order
    ]
