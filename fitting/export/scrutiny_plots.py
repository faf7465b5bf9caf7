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
"""Multiple of alpha beyond which the upper end of an interval is drawn as open."""


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
            {
                "points": "α of the sizes kept",
                "error": "its 95 % interval",
                "line": "α of all sizes",
                "band": "its 95 % interval",
            },
        ),
        "collapse": Plot(
            "Training curves, normalised",
            "fraction of training, t / T",
            "(L(t) − c) / (L(T) − c)",
            [mark for k, arch, _, one in found for mark in _curve_marks(k, arch, one)],
            {"line": "a size, thick where it leaves the bundle"},
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
        {"kind": "line", "k": k, "x": ends, "y": [law.alpha] * 2, "name": f"{arch}: all sizes"},
        {
            "kind": "band",
            "k": k,
            "x": ends,
            "y": [law.alpha] * 2,
            "low": [low] * 2,
            "high": [high] * 2,
        },
    ]
    far = MOST_SHOWN * law.alpha
    points = {
        "kind": "points",
        "k": k,
        "x": [one.n_end * ASIDE**k for one in scrutiny.ends],
        "y": [one.alpha for one in scrutiny.ends],
        "low": [one.interval.low for one in scrutiny.ends],
        # A long interval would squeeze the others.
        "high": [one.interval.high if one.interval.high <= far else None for one in scrutiny.ends],
        "tips": [
            f"{arch} without the {one.left_out} {one.end}\nα {one.alpha:.3g} {one.interval}"
            for one in scrutiny.ends
        ],
        "label": arch,
    }
    return [*marks, points]


def _curve_marks(k: int, arch: str, scrutiny: Scrutiny) -> list[Mark]:
    if scrutiny.collapse is None:
        return []
    named = {one.n for one in scrutiny.collapse.leaving}
    marks = []
    for curve in scrutiny.collapse.curves:
        seen = np.isfinite(curve.r)
        name = f"{arch}, N = {curve.n:,.0f}" + (": leaves the bundle" if curve.n in named else "")
        marks.append(
            {
                "kind": "line",
                "thin": curve.n not in named,
                "k": k,
                "x": MIDDLES[seen].tolist(),
                "y": curve.r[seen].tolist(),
                "name": name,
                "label": arch,
            }
        )
    return marks
