"""The sections of report.html on each law under other choices."""

from typing import Any

import numpy as np

from fitting.arch_law import ArchLaw
from fitting.export.json_values import plain
from fitting.page.markup import bracketed, said, table
from fitting.runs.axis import Axis
from fitting.scrutiny.collapse import SHOWN
from fitting.scrutiny.findings import Scrutiny
from fitting.scrutiny.rivals import PHRASES, Judged

MIDDLES = np.sqrt(SHOWN[1:] * SHOWN[:-1])
"""Middles of the spans of t / T over which a curve is drawn."""
ASIDE = 1.02
"""Factor in N by which the bars of architectures are kept apart."""
MOST_SHOWN = 3
"""Multiple of alpha up to which an interval is drawn."""
Found = list[tuple[int, str, ArchLaw, Scrutiny]]


def sections(laws: dict[str, ArchLaw]) -> str:
    """Sensitivity, other forms and collapse, as HTML; "" where no law was scrutinised."""
    found = _found(laws)
    return (_sensitivity(found) + _forms(found) + _collapse(found)) if found else ""


def plots(laws: dict[str, ArchLaw], axis: Axis) -> dict[str, dict[str, Any]]:
    """The plots that report_page.js draws: `marks` and `options` by the id of their box."""
    found = _found(laws)
    if not found:
        return {}
    drawn = {
        "sensitivity": {
            "marks": [mark for one in found for mark in _drift_marks(*one)],
            "options": {
                "x": f"smallest or largest {axis.symbol} kept (log scale)",
                "y": "α",
                "title": "Exponent by the sizes kept",
            },
        },
        "collapse": {
            "marks": [mark for one in found for mark in _curve_marks(*one)],
            "options": {
                "x": "fraction of training, t / T (log scale)",
                "y": "(L(t) − c) / (L(T) − c)",
                "logY": True,
                "title": "Training curves, normalised",
            },
        },
    }
    return {name: plot for name, plot in drawn.items() if plot["marks"]}


def _found(laws: dict[str, ArchLaw]) -> Found:
    return [
        (k, arch, law, law.scrutiny) for k, (arch, law) in enumerate(laws.items()) if law.scrutiny
    ]


def _sensitivity(found: Found) -> str:
    sentences = said((arch, scrutiny.drift) for _, arch, _, scrutiny in found)
    sizes = [
        [
            arch,
            f"{one.left_out} {one.end}",
            f"{one.alpha:.3g} {bracketed(one.interval)}",
        ]
        for _, arch, _, scrutiny in found
        for one in scrutiny.ends
    ]
    counts = [
        [
            arch,
            one.counted,
            f"{one.alpha:.3g} {bracketed(one.interval)}",
            f"{one.c:.3g}",
            f"{100 * one.noise:.2g} %",
        ]
        for _, arch, _, scrutiny in found
        for one in scrutiny.counted
    ]
    plot = '<div id="sensitivity" class="plot"></div>' if sizes else ""
    return (
        "<section><h2>Does the exponent depend on the sizes chosen?</h2>"
        "<p>The law refitted without its smallest, then without its largest sizes. The band is "
        "that of all sizes; with fewer sizes the bars are longer.</p>"
        + sentences
        + plot
        + table(["", "left out", "α"], sizes)
        + ("<h3>By what counts as N</h3>" if counts else "")
        + table(["", "N", "α", "c", "noise of a run"], counts)
        + "</section>"
    )


def _forms(found: Found) -> str:
    rows = [_form_row(arch, one) for _, arch, _, scrutiny in found for one in scrutiny.forms.judged]
    head = ["", "form", "parameters", "largest", "two largest", "ten times", ""]
    return (
        "<section><h2>Would another curve fit better?</h2>"
        "<p>Each form is fitted without the largest size, then without the two largest, and "
        "predicts them. Brackets show the error that noise explains.</p>"
        + said(
            (arch, f"{scrutiny.forms.sentence()} {scrutiny.forms.tenfold_sentence()}")
            for _, arch, _, scrutiny in found
        )
        + table(head, rows)
        + "</section>"
    )


def _form_row(arch: str, form: Judged) -> list[str]:
    errors = [
        ", ".join(f"{100 * e:+.2g} % [{100 * r:.2g}]" for e, r in zip(trial.error, trial.reach))
        for trial in form.trials
    ]
    errors += ["–"] * (2 - len(errors))
    tried = "too few sizes" if not form.trials else "within noise" if form.survives else "misses"
    far = f"{form.tenfold:.4g}" if form.trials else "–"
    return [arch, PHRASES[form.name], str(form.n_parameters), *errors, far, tried]


def _collapse(found: Found) -> str:
    curves = [(arch, s.collapse) for _, arch, _, s in found if s.collapse and s.collapse.curves]
    if not curves:
        return ""
    return (
        "<section><h2>Do the training curves collapse?</h2>"
        "<p>Loss above c relative to its final value, against the fraction of training completed; "
        "one line per size. Where tokens are proportional to size, one curve is expected (Qiu et "
        "al. 2025).</p>"
        + said((arch, one.sentence()) for arch, one in curves)
        + '<div id="collapse" class="plot"></div></section>'
    )


def _drift_marks(k: int, arch: str, law: ArchLaw, scrutiny: Scrutiny) -> list[dict[str, Any]]:
    assert law.fit is not None
    if not scrutiny.ends:
        return []
    ends = [float(law.fit.n.min()), float(law.fit.n.max())]
    low, high = plain(law.alpha_interval)
    marks: list[dict[str, Any]] = [
        {"kind": "line", "k": k, "x": ends, "y": [law.alpha] * 2},
        {
            "kind": "band",
            "k": k,
            "x": ends,
            "y": [law.alpha] * 2,
            "low": [low] * 2,
            "high": [high] * 2,
        },
    ]
    for one in scrutiny.ends:
        tip = f"{arch} without the {one.left_out} {one.end}\nα {one.alpha:.3g} {one.interval}"
        # An open interval would squeeze the others.
        bar = [one.interval.low, min(one.interval.high, MOST_SHOWN * law.alpha)]
        n = one.n_end * ASIDE**k
        marks.append({"kind": "line", "k": k, "x": [n, n], "y": bar})
        marks.append({"kind": "points", "k": k, "x": [n], "y": [one.alpha], "tips": [tip]})
    return marks


def _curve_marks(k: int, arch: str, law: ArchLaw, scrutiny: Scrutiny) -> list[dict[str, Any]]:
    if scrutiny.collapse is None:
        return []
    named = {one.n for one in scrutiny.collapse.leaving}
    marks = []
    for curve in scrutiny.collapse.curves:
        seen = np.isfinite(curve.r)
        tip = f"{arch}, N = {curve.n:,.0f}" + (": leaves the bundle" if curve.n in named else "")
        marks.append(
            {
                "kind": "line",
                "thin": curve.n not in named,
                "k": k,
                "x": MIDDLES[seen].tolist(),
                "y": curve.r[seen].tolist(),
                "tips": [tip] * int(seen.sum()),
            }
        )
    return marks
