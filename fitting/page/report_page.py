"""report.html: one file that opens anywhere and needs no network.

The skeleton, style and scripts are report_page.* beside this file. The results are
written in HTML, so that they can be read without the script; the plots are drawn from JSON.
"""

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from fitting.analysis import Analysis
from fitting.arch_law import ArchLaw
from fitting.export.all_plots import all_plots
from fitting.export.plots import drawn_baselines
from fitting.outcomes import Review
from fitting.page import answer, forecast, origins, runs, scrutiny, surface
from fitting.page.about import About, origin
from fitting.page.markup import bracketed, plot_box, said, section, table
from fitting.page.told import Told
from fitting.page.told import section as section_of
from fitting.runs.axis import Axis
from fitting.runs.loss import Loss
from fitting.surface.law import SurfaceLaw

HERE = Path(__file__).parent
SCRIPTS = (
    "report_page.draw.js",
    "report_page.legend.js",
    "report_page.values.js",
    "report_page.save.js",
    "report_page.js",
)
"""In the order in which they use each other."""


def html(
    analysis: Analysis,
    about: About | None = None,
    beside: Sequence[str] = (),
    review: Review | None = None,
    told: Sequence[Told] = (),
) -> str:
    """The complete page.

    about: what it is of. beside: names of the files in its folder, which it links to; those called
    samples*.html are pages on which the models can be heard. told: sections of the caller's.
    """
    of = (about or About()).with_records(analysis.records)
    plots = {name: plot for name, plot in all_plots(analysis).items() if plot.marks}
    series = [*analysis.laws, *drawn_baselines(analysis)]
    data = {"archs": series, "plots": {name: vars(plots[name]) for name in plots}}
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    parts = {
        "/*style*/": (HERE / "report_page.css").read_text(encoding="utf-8"),
        "/*script*/": "".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
        "<!--title-->": escape(of.title),
        "<!--of-->": escape(of.line()),
        "<!--notes-->": "".join(f"<p class=note>{escape(note)}</p>" for note in analysis.notes),
        "<!--answer-->": answer.answers(analysis),
        "<!--samples-->": _samples(beside),
        "<!--lead-->": answer.lead(analysis),
        "<!--law-->": f"L({analysis.axis.symbol}) = a {analysis.axis.symbol}<sup>−α</sup> + c; "
        f"{analysis.axis.symbol}: {analysis.axis.label}",
        "<!--loss-->": escape(_meaning(analysis.loss)),
        "<!--comparison-->": answer.pairs(analysis),
        "<!--sections-->": _sections(
            analysis, set(plots), review, {each.name: each for each in told}
        )
        + origin(of, [name for name in beside if not name.endswith(".html")]),
        # A name from a table could contain "</script>"; JSON allows "<" to be escaped.
        "/*data*/null": text.replace("<", "\\u003c"),
    }
    page = (HERE / "report_page.html").read_text(encoding="utf-8")
    # In one pass, because a name from a table could itself contain a mark.
    return re.sub("|".join(map(re.escape, parts)), lambda mark: parts[mark[0]], page)


def _sections(
    analysis: Analysis, plots: set[str], review: Review | None, told: Mapping[str, Told]
) -> str:
    """All below the first screen, in its order. plots: those that have marks."""

    def plotted(name: str, title: str, lead: str, *more: str) -> str:
        return section(title, plot_box(name) if name in plots else "", *more, lead=lead)

    return "".join(
        [
            forecast.section(review),
            section_of(told.get("best")),
            surface.section(_surfaces(analysis), analysis.loss.unit),
            plotted(
                "law",
                f"Loss by {answer.SIZE_WORD[analysis.axis.column]}",
                "Points are training runs; the line is the law, the shade its 95 % band. The "
                "dashed bar is the prediction for the largest from the smaller ones alone. A "
                "rejected law is not drawn.",
            ),
            plotted(
                "residuals",
                "Residuals",
                "Each run's distance from its law. If the law holds, there is no pattern here.",
            ),
            plotted(
                "curves",
                "Training curves",
                "Training loss against tokens seen. Distrust a run whose curve rises at the end.",
            ),
            origins.section(analysis),
            scrutiny.sections(analysis.laws),
            plotted(
                "tokens",
                "Loss by training tokens",
                "The same sizes trained on more or fewer tokens.",
            ),
            _repeated(analysis),
            plotted(
                "isoflop",
                "Best size for a given compute, by parabolas",
                "Each parabola joins runs of equal training compute; its lowest point is the best "
                "size.",
                _minima(analysis),
            ),
            section("The numbers", _numbers(analysis)),
            runs.sections(analysis),
            section_of(told.get("paid")),
        ]
    )


def _samples(beside: Sequence[str]) -> str:
    """A link to each page of samples, by its tokenizer where there are several."""
    pages = [name for name in beside if name.startswith("samples") and name.endswith(".html")]
    links = []
    for name in pages:
        of = name.removeprefix("samples").removesuffix(".html").removeprefix("-")
        named = f" ({escape(of)})" if of else ""
        links.append(f'<p><a href="{escape(name)}">Hear what each size composed{named}</a></p>')
    return "".join(links)


def _meaning(loss: Loss) -> str:
    return loss.meaning if loss.known else f"{loss.column}, {loss.meaning}"


def _repeated(analysis: Analysis) -> str:
    """The section on data seen more than once; "" without repeats."""
    notes = ((arch, law.repeated_note) for arch, law in analysis.laws.items())
    told = {arch: note for arch, note in notes if note}
    if not told:
        return ""
    return section("Data seen more than once", said(told.items()))


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
    return "".join(sentences) + table("Best sizes by parabolas", head, rows)


def _numbers(analysis: Analysis) -> str:
    """A row per quantity and a column per architecture, to be read downwards on a phone."""
    columns = [_quantities(law, analysis.axis) for law in analysis.laws.values()]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(column.get(name, "–") for column in columns)] for name in names]
    return table("The numbers of each law", ["", *analysis.laws], rows)


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
            "α, by Huber": _known(other.alpha_huber),
            "c, by Huber": _known(other.c_huber),
            "α, without c": f"{other.alpha_no_floor:.4g}",
            "AICc gained by c": needless,
        }
    for each in law.by_unit:
        found[f"α, {each.unit}"] = f"{each.fit.alpha:.4g} {bracketed(each.alpha_interval)}"
        found[f"c, {each.unit}"] = f"{each.fit.c:.4g} {bracketed(each.c_interval)}"
    return found


def _known(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4g}"


def _surfaces(analysis: Analysis) -> dict[str, SurfaceLaw]:
    return {arch: law.surface for arch, law in analysis.laws.items() if law.surface}
