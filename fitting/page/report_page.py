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
from fitting.export import figures, tables
from fitting.export.json_values import plain
from fitting.law.intervals import law_band
from fitting.outcomes import Review
from fitting.page import answer, forecast, scrutiny, surface
from fitting.page.markup import bracketed, said, table
from fitting.runs.axis import Axis
from fitting.surface.law import SurfaceLaw

HERE = Path(__file__).parent
LINE_POINTS = 80
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
        "<!--scrutiny-->": scrutiny.sections(analysis.laws),
        "<!--repeated-->": _repeated(analysis),
        "<!--minima-->": _minima(analysis),
        "<!--surface-->": surface.section(_surfaces(analysis)),
        "<!--comparison-->": answer.pairs(analysis),
        "<!--numbers-->": _numbers(analysis),
        "<!--left-out-->": _left_out(analysis),
        # A name from a table could contain "</script>"; JSON allows "<" to be escaped.
        "/*data*/null": text.replace("<", "\\u003c"),
    }
    page = (HERE / "report_page.html").read_text(encoding="utf-8")
    # In one pass, because a name from a table could itself contain a mark.
    return re.sub("|".join(map(re.escape, parts)), lambda mark: parts[mark[0]], page)


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
    axis = analysis.axis
    colours = {arch: k for k, arch in enumerate(analysis.laws)}
    return {
        "axis": {"column": axis.column, "symbol": axis.symbol, "label": axis.label},
        "laws": [_law(law) for law in analysis.laws.values()],
        "plots": surface.plots(_surfaces(analysis), colours) | scrutiny.plots(analysis.laws, axis),
    }


def _surfaces(analysis: Analysis) -> dict[str, SurfaceLaw]:
    return {arch: law.surface for arch, law in analysis.laws.items() if law.surface}


def _law(law: ArchLaw) -> dict[str, Any]:
    runs, held = law.selection.runs, law.held_out
    return {
        "arch": law.arch,
        "runs": tables.rows(runs, []),
        "band": _band(law),
        "residuals": np.expm1(law.fit.residuals()).tolist() if law.fit else [],
        "held_out": held
        and {
            "at": held.n,
            "observed": held.observed,
            "predicted": held.predicted,
            "interval": plain(held.interval),
        },
        "curves": _curves(runs),
        "by_tokens": _by_tokens(law.selection.all_budgets),
        "isoflop": _isoflop(law),
    }


def _band(law: ArchLaw) -> dict[str, Any] | None:
    if law.fit is None or law.verdict.word == "not supported":
        return None
    n = np.geomspace(law.fit.n.min() / 1.3, law.fit.n.max() * 4, LINE_POINTS)
    low, high = law_band(law.fit, n)
    return {
        "n": n.tolist(),
        "law": law.fit.predict(n).tolist(),
        "low": plain(low),
        "high": plain(high),
    }


def _curves(runs: pd.DataFrame) -> list[dict[str, Any]]:
    curves: list[dict[str, Any]] = []
    for row in runs.to_dict("records"):
        label = f"{row['arch']} {row['size']}, seed {_number(row['seed'])}"
        for points in figures.training_curves([row["train_curve"]]):
            tokens, loss = zip(*points)
            curves.append({"label": label, "tokens": tokens, "loss": loss})
    return curves


def _by_tokens(runs: pd.DataFrame) -> list[dict[str, Any]]:
    lines = []
    for n, mean in figures.budgets(runs):
        label = f"{runs['arch'].iloc[0]}, N = {n:,.0f}"
        lines.append({"label": label, "tokens": list(mean.index), "loss": mean.tolist()})
    return lines


def _isoflop(law: ArchLaw) -> list[dict[str, Any]]:
    parabolas = []
    for curve in law.frontier.curves if law.frontier else ():
        n = np.geomspace(curve.n.min(), curve.n.max(), LINE_POINTS)
        parabolas.append(
            {
                "label": f"{law.arch}, {curve.flops:.2g} FLOPs\nbest N {curve.n_opt:,.0f}",
                "n": curve.n.tolist(),
                "loss": curve.loss.tolist(),
                "line_n": n.tolist(),
                "line_loss": curve.predict(n).tolist(),
                "best": [curve.n_opt, float(curve.predict(curve.n_opt))],
            }
        )
    return parabolas
