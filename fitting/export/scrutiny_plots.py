"""The plots of each law under other choices; `fitting.export.plots` explains the marks."""

from collections.abc import Mapping

import numpy as np

from fitting.arch_law import ArchLaw
from fitting.export.json_values import plain
from fitting.export.plots import Mark, Plot
from fitting.runs.axis import Axis
from fitting.scrutiny.collapse import SHOWN
from fitting.scrutiny.findings import Scrutiny

MIDDLES = np.sqrt(SHOWN[1:] * SHOWN[:-1])
"""Middles of the spans of t / T over which a curve is drawn."""
ASIDE = 1.02
"""Factor in N by which the bars of architectures are kept apart."""
MOST_SHOWN = 3
"""Multiple of alpha up to which an interval is drawn."""


def scrutiny_plots(laws: Mapping[str, ArchLaw], axis: Axis) -> dict[str, Plot]:
    """Exponent by sizes kept, and normalised training curves; only plots that have marks."""
    found = [
        (k, arch, law, law.scrutiny) for k, (arch, law) in enumerate(laws.items()) if law.scrutiny
    ]
    drawn = {
        "sensitivity": Plot(
            "Exponent by the sizes kept",
            f"smallest or largest {axis.symbol} kept",
            "α",
            [mark for one in found for mark in _drift_marks(*one)],
        ),
        "collapse": Plot(
            "Training curves, normalised",
            "fraction of training, t / T",
            "(L(t) − c) / (L(T) − c)",
            [mark for k, arch, _, one in found for mark in _curve_marks(k, arch, one)],
            log_y=True,
        ),
    }
    return {name: plot for name, plot in drawn.items() if plot.marks}


def _drift_marks(k: int, arch: str, law: ArchLaw, scrutiny: Scrutiny) -> list[Mark]:
    assert law.fit is not None
    if not scrutiny.ends:
        return []
    ends = [float(law.fit.n.min()), float(law.fit.n.max())]
    low, high = plain(law.alpha_interval)
    marks: list[Mark] = [
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
        marks.append(
            {"kind": "points", "k": k, "x": [n], "y": [one.alpha], "tips": [tip], "label": arch}
        )
    return marks


def _curve_marks(k: int, arch: str, scrutiny: Scrutiny) -> list[Mark]:
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
                "label": arch,
            }
        )
    return marks
