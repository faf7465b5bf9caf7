"""report.html: one file that opens anywhere and asks nothing of the network."""

import html as escape_html
import json
from pathlib import Path
from typing import Any

import numpy as np

from fitting import tables
from fitting.analysis import Analysis, ArchLaw
from fitting.intervals import law_band

TEMPLATE = Path(__file__).parent / "page.html"
CURVE_POINTS = 80


def html(analysis: Analysis) -> str:
    """The page, with its data as JSON inside."""
    text = json.dumps(_data(analysis), allow_nan=False, separators=(",", ":"))
    template = TEMPLATE.read_text(encoding="utf-8")
    answer = "\n".join(_answer(law) for law in analysis.laws.values())
    # A name from a table could hold "</script>": JSON lets "<" be written as an escape.
    return template.replace("<!--answer-->", answer).replace(
        "/*data*/null", text.replace("<", "\\u003c")
    )


def _answer(law: ArchLaw) -> str:
    kind = law.verdict.word.replace(" ", "-")
    reasons = "".join(f"<li>{escape_html.escape(text)}</li>" for text in law.verdict.reasons)
    equation = (
        f"<p class=law>L(N) = {law.a:.3g} N<sup>−{law.alpha:.3g}</sup> + {law.c:.3g}</p>"
        if law.fit
        else "<p class=law>no law</p>"
    )
    return (
        f"<article class={kind}><h2>{escape_html.escape(law.arch)} "
        f"<span class=verdict>{law.verdict.word}</span></h2>{equation}<ul>{reasons}</ul></article>"
    )


def _data(analysis: Analysis) -> dict[str, Any]:
    return {"laws": [_law(law) for law in analysis.laws.values()]}


def _law(law: ArchLaw) -> dict[str, Any]:
    runs = law.selection.runs
    data: dict[str, Any] = {
        "arch": law.arch,
        "verdict": law.verdict.word,
        "runs": tables.rows(runs, []),
        "left_out": tables.rows(law.selection.left_out, ["why"]),
        "band": None,
    }
    if law.fit is not None:
        n = np.geomspace(runs["n_params"].min() / 1.6, runs["n_params"].max() * 4, CURVE_POINTS)
        low, high = law_band(law.fit, n)
        data["band"] = {
            "n": n.tolist(),
            "law": law.fit.predict(n).tolist(),
            "low": [tables.json_number(v) for v in low],
            "high": [tables.json_number(v) for v in high],
        }
    return data
