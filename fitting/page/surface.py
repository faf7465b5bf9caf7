"""The section of report.html on L(N, D), in sentences, tables and plots.

All names and texts that come from a table of runs are escaped.
"""

from collections.abc import Mapping
from html import escape

import numpy as np

from fitting.page import markup
from fitting.page.markup import bracketed, plot_box, table
from fitting.surface.law import SurfaceLaw
from fitting.surface.optimum import Optimum

BOXES = {
    "surface": (
        "Loss by tokens, one line per size",
        "Points are runs, lines the surface at a size.",
    ),
    "surface-residuals-n": (
        "Residuals of the surface, by size",
        "If the surface holds, there is no pattern here.",
    ),
    "surface-residuals-d": (
        "Residuals of the surface, by tokens",
        "There should be no pattern here either.",
    ),
}
"""Ids of the plots, their titles, and a sentence on each."""


def section(laws: Mapping[str, SurfaceLaw], unit: str) -> str:
    """HTML: for each architecture L(N, D), its verdict and the best sizes; "" without laws.

    `unit`: of the losses. Plots are drawn into its boxes where the exponents are identified.
    """
    if not laws:
        return ""
    told = "".join(_law(arch, law, unit) for arch, law in laws.items())
    boxes = ""
    if any(law.identified for law in laws.values()):
        boxes = "".join(
            f"<h3>{title}</h3><p>{said}</p>{plot_box(box)}" for box, (title, said) in BOXES.items()
        )
    return markup.section("Size and tokens together", told, boxes)


def _law(arch: str, law: SurfaceLaw, unit: str) -> str:
    sentences = [*_sentences(law), *law.notes]
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in law.reasons)
    kind = law.word.replace(" ", "-")
    body = (
        f"<h3 class={kind}>{escape(arch)} <span class=verdict>{law.word}</span></h3>"
        + "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
        + (f"<ul>{reasons}</ul>" if reasons else "")
    )
    if not law.identified:
        return body
    return body + _numbers(arch, law, unit) + _optima(arch, law)


def _sentences(law: SurfaceLaw) -> list[str]:
    """The results for a reader without statistics, the main point first."""
    if not law.identified:
        return ["These runs do not identify a law of sizes and tokens together."]
    s = law.surface
    sentences = [f"{law.headline()}, N: parameters, D: training tokens. {_shares(law)}"]
    low, high = law.optimal_exponent.low, law.optimal_exponent.high
    sentences.append(
        f"With more compute C, the best size grows as C to the power {s.optimal_exponent:.2f} "
        f"[{low:.2f}, {high:.2f}], its tokens as C to the power {1 - s.optimal_exponent:.2f}."
    )
    if said := law.disagreement():
        sentences.append(said)
    if held := law.held_out:
        sentences.append(
            f"Put to the test: {held.what}, held out, was predicted from the other runs with an "
            f"error of {100 * held.relative_error:+.2g} % on average; "
            f"{round(held.inside * len(held.n))} of {len(held.n)} losses lie within their interval."
        )
    if run := law.influence:
        apart = "It is also an outlier." if run.apart else ""
        sentences.append(
            f"The run that counts most has N = {run.n:.3g}, D = {run.d:.3g}: without it alpha is "
            f"{run.alpha:.3g} and beta {run.beta:.3g}. {apart}".strip()
        )
    return sentences


def _shares(law: SurfaceLaw) -> str:
    """How the loss at the largest size and budget divides between N, D and the floor."""
    s = law.surface
    n, d = float(s.n.max()), float(s.d.max())
    return (
        f"At the largest size and budget, {s.A * n**-s.alpha:.3g} of the loss is due to too few "
        f"parameters, {s.B * d**-s.beta:.3g} to too few tokens, and {s.E:.3g} is removed "
        "by neither."
    )


def _numbers(arch: str, law: SurfaceLaw, unit: str) -> str:
    s, h = law.surface, law.huber
    rows = [
        [f"E, {unit}", f"{s.E:.4g}", bracketed(law.E), f"{h.E:.4g}"],
        ["A", f"{s.A:.4g}", bracketed(law.A), f"{h.A:.4g}"],
        ["B", f"{s.B:.4g}", bracketed(law.B), f"{h.B:.4g}"],
        ["α, exponent of N", f"{s.alpha:.4g}", bracketed(law.alpha), f"{h.alpha:.4g}"],
        ["β, exponent of D", f"{s.beta:.4g}", bracketed(law.beta), f"{h.beta:.4g}"],
        [
            "β / (α + β)",
            f"{s.optimal_exponent:.4g}",
            bracketed(law.optimal_exponent),
            f"{h.optimal_exponent:.4g}",
        ],
        ["noise of a run", f"{100 * law.noise.of_a_run:.2g} %", _noise(law), ""],
        ["condition number", f"{law.condition:.3g}", "", ""],
    ]
    return table(f"L(N, D) of {arch}", ["", "least squares", "95 %", "Huber"], rows)


def _noise(law: SurfaceLaw) -> str:
    noise = law.noise
    if not noise.pure_dof:
        return "from the surface; no repeated runs"
    seeds = 100 * np.sqrt(noise.pure)
    return f"seeds alone {seeds:.2g} %, {noise.pure_dof} repeats"


def _optima(arch: str, law: SurfaceLaw) -> str:
    head = ["compute C, FLOPs", "best N", "95 %", "its tokens D", "95 %", "D / N"]
    parabolas = any(np.isfinite(best.parabola_n) for best in law.optima)
    if parabolas:
        head += ["N by parabolas", "D by parabolas"]
    return table(f"Best sizes of {arch}", head, [_optimum(best, parabolas) for best in law.optima])


def _optimum(best: Optimum, parabolas: bool) -> list[str]:
    row = [
        f"{best.flops:.0e}".replace("+", "") + (" (beyond the runs)" if best.beyond else ""),
        f"{best.n:.3g}",
        bracketed(best.n_interval),
        f"{best.d:.3g}",
        bracketed(best.d_interval),
        f"{best.d / best.n:.3g}",
    ]
    return [*row, f"{best.parabola_n:.3g}", f"{best.parabola_d:.3g}"] if parabolas else row
