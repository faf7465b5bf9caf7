"""report.html: one file that opens anywhere and needs no network.

The skeleton, style and script are report_page.html, .css and .js beside this file. The results are
written in HTML, so that they can be read without the script; the plots are drawn from JSON.
"""

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fitting.analysis import Analysis
from fitting.arch_law import ArchLaw
from fitting.export.all_plots import all_plots
from fitting.outcomes import Review
from fitting.page import answer, forecast, scrutiny, surface
from fitting.page.markup import bracketed, said, table
from fitting.runs.axis import Axis
from fitting.runs.loss import Loss
from fitting.surface.law import SurfaceLaw

HERE = Path(__file__).parent
MAX_LEFT_OUT = 200


def html(analysis: Analysis, samples: Sequence[Path] = (), review: Review | None = None) -> str:
    """The complete page. samples: paths of pages beside it on which the models can be heard."""
    text = json.dumps(_data(analysis), allow_nan=False, separators=(",", ":"))
    parts = {
        "/*style*/": (HERE / "report_page.css").read_text(encoding="utf-8"),
        "/*script*/": (HERE / "report_page.js").read_text(encoding="utf-8"),
        "<!--notes-->": "".join(f"<p class=note>{escape(note)}</p>" for note in analysis.notes),
        "<!--answer-->": answer.answers(analysis),
        "<!--samples-->": "".join(
            f'<p><a href="{escape(path.name)}">Hear what each size composed</a></p>'
            for path in samples
        ),
        "<!--forecast-->": forecast.section(review),
        "<!--lead-->": answer.lead(analysis),
        "<!--size-->": answer.SIZE_WORD[analysis.axis.column],
        "<!--law-->": f"L({analysis.axis.symbol}) = a {analysis.axis.symbol}<sup>−α</sup> + c; "
        f"{analysis.axis.symbol}: {analysis.axis.label}",
        "<!--loss-->": escape(_meaning(analysis.loss)),
        "<!--scrutiny-->": scrutiny.sections(analysis.laws),
        "<!--repeated-->": _repeated(analysis),
        "<!--minima-->": _minima(analysis),
        "<!--surface-->": surface.section(_surfaces(analysis), analysis.loss.unit),
        "<!--comparison-->": answer.pairs(analysis),
        "<!--numbers-->": _numbers(analysis),
        "<!--left-out-->": _left_out(analysis),
        # A name from a table could contain "</script>"; JSON allows "<" to be escaped.
        "/*data*/null": text.replace("<", "\\u003c"),
    }
    page = (HERE / "report_page.html").read_text(encoding="utf-8")
    # In one pass, because a name from a table could itself contain a mark.
    return re.sub("|".join(map(re.escape, parts)), lambda mark: parts[mark[0]], page)


def _meaning(loss: Loss) -> str:
    return loss.meaning if loss.known else f"{loss.column}, {loss.meaning}"


def _repeated(analysis: Analysis) -> str:
    """The section on data seen more than once; "" without repeats."""
    notes = ((arch, law.repeated_note) for arch, law in analysis.laws.items())
    told = {arch: note for arch, note in notes if note}
    if not told:
        return ""
    return f"<section><h2>Data seen more than once</h2>{said(told.items())}</section>"


def _minima(analysis: Analysis) -> str:
    """The best size at each compute, and how it grows."""
    rows, sentences = [], []
    for arch, law in analysis.laws.items():
        frontier = law.frontier
        if frontier is None:
            continue
        rows += [
            [
                arch,
                f"{c.flops:.3g}",
                f"{c.n_opt:,.3g}",
                f"{c.d_opt:,.3g}",
                f"{c.d_opt / c.n_opt:.3g}",
            ]
            for c in frontier.curves
        ]
        if np.isfinite(frontier.exponent):
            sentences.append(
                f"<p>{escape(arch)}: by parabolas, the best size grows as "
                f"C<sup>{frontier.exponent:.3g}</sup>, its tokens as "
                f"C<sup>{1 - frontier.exponent:.3g}</sup>.</p>"
            )
    head = ["", "compute C, FLOPs", "best N", "tokens D = C / 6 N", "D / N"]
    return "".join(sentences) + table(head, rows)


def _numbers(analysis: Analysis) -> str:
    """A row per quantity and a column per architecture, to be read downwards on a phone."""
    columns = [_quantities(law, analysis.axis) for law in analysis.laws.values()]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(column.get(name, "–") for column in columns)] for name in names]
    return table(["", *analysis.laws], rows)


def _quantities(law: ArchLaw, axis: Axis) -> dict[str, str]:
    found = {"runs fitted": str(len(law.selection.runs))}
    if law.fit is None:
        return found
    found |= {
        "noise of a run": f"{100 * law.fit.noise:.2g} %",
        "noise by size": f"as {axis.symbol}^{law.fit.spread.growth:.2g}"
        if law.fit.spread.growth
        else "constant",
        "α": f"{law.alpha:.4g} {bracketed(law.alpha_interval)}",
        "c": f"{law.c:.4g} {bracketed(law.c_interval)}",
    }
    if held := law.held_out:
        found |= {
            "largest, predicted": f"{held.predicted:.4g} {bracketed(held.interval)}",
            "largest, observed": f"{held.observed:.4g} ({100 * held.relative_error:+.2g} %)",
        }
    if other := law.alternatives:
        needless = "too few runs" if np.isinf(other.aicc_gain) else f"{other.aicc_gain:+.1f}"
        found |= {
            "α, by Student-t": bracketed(law.alpha_student),
            "c, by Student-t": bracketed(law.c_student),
            "α, by Huber": f"{other.alpha_huber:.4g}",
            "c, by Huber": f"{other.c_huber:.4g}",
            "α, without c": f"{other.alpha_no_floor:.4g}",
            "AICc gained by c": needless,
        }
    for each in law.by_unit:
        found[f"α, {each.unit}"] = f"{each.fit.alpha:.4g} {bracketed(each.alpha_interval)}"
        found[f"c, {each.unit}"] = f"{each.fit.c:.4g} {bracketed(each.c_interval)}"
    return found


def _left_out(analysis: Analysis) -> str:
    head = ["", "size", "N", "seed", "lr", "loss", "why"]
    out = pd.concat([law.selection.left_out for law in analysis.laws.values()])
    rows = [
        [
            row["arch"],
            row["size"],
            *(_number(row[name]) for name in ("n_params", "seed", "lr", "val_loss")),
            row["why"],
        ]
        for row in out.head(MAX_LEFT_OUT).to_dict("records")
    ]
    if not rows:
        return "<p>None.</p>"
    more = f"<p>And {len(out) - len(rows)} more, in fit.json.</p>" if len(out) > len(rows) else ""
    return table(head, rows) + more


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.6g}"


def _data(analysis: Analysis) -> dict[str, Any]:
    return {
        "archs": list(analysis.laws),
        "plots": {
            name: vars(plot) | {"x": f"{plot.x}, log scale"}
            for name, plot in all_plots(analysis).items()
        },
    }


def _surfaces(analysis: Analysis) -> dict[str, SurfaceLaw]:
    return {arch: law.surface for arch, law in analysis.laws.items() if law.surface}
