"""The plots of losses by where tokens come from; `fitting.export.plots` explains the marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitting.export.plots import LINE_POINTS, Mark, Plot, errors, run_points
from fitting.runs.loss import OF_ORIGIN, PER_TOKEN, VAL_LOSS

if TYPE_CHECKING:
    from fitting.analysis import Analysis
    from fitting.arch_law import ArchLaw
    from fitting.law.origins import OriginLaw
    from fitting.runs.axis import Axis


def origin_plots(analysis: Analysis) -> dict[str, Plot]:
    """One for each class of tokens that runs were measured by: each architecture's losses on it."""
    axis = analysis.axis
    of_class: dict[str, list[Mark]] = {}
    for k, law in enumerate(analysis.laws.values()):
        for each in law.by_origin:
            of_class.setdefault(each.origin, []).extend(_marks(k, law, each, axis))
    return {
        f"origin-{origin}": Plot(
            f"{OF_ORIGIN[origin].partition(':')[0].capitalize()}: loss by {axis.label}",
            axis.label,
            PER_TOKEN,
            of_class[origin],
            {
                "points": "a run",
                "error": "± 1 standard error of its loss",
                "line": "the law of the class",
            },
            log_y=True,
        )
        for origin in OF_ORIGIN
        if origin in of_class
    }


def _marks(k: int, law: ArchLaw, of: OriginLaw, axis: Axis) -> list[Mark]:
    """The runs, and their law unless it is rejected."""
    column = f"{VAL_LOSS}_{of.origin}"
    runs = law.selection.runs
    runs = runs[(runs[column] > 0) & (runs[axis.column] > 0)]
    runs = runs.assign(val_loss=runs[column], val_loss_se=runs[f"{column}_se"])
    points = run_points(k, law.arch, runs, axis, runs["val_loss"].tolist()) | errors(runs)
    if of.fit is None or of.verdict.word == "not supported":
        return [points]
    n = np.geomspace(of.fit.n.min() / 1.3, of.fit.n.max() * 4, LINE_POINTS)
    name = f"{law.arch}: law of {of.origin}"
    line = {"kind": "line", "k": k, "x": n.tolist(), "y": of.fit.predict(n).tolist(), "name": name}
    return [line, points]
