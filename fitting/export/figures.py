"""Figures for papers, drawn without a display: the plots of the page as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fitting.analysis import Analysis
from fitting.export.all_plots import all_plots
from fitting.export.plots import Mark, Plot, drawn_baselines
from fitting.runs import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (
    *("#1b6ca8", "#d1495b", "#3a7d44", "#8a5a9e", "#b8860b", "#555555"),
    *("#00a3a3", "#e07a1f", "#7a4b2a", "#c56fa8"),
)
"""Distinct in print and to colour-blind readers; the page uses the first six, in this order."""
GREY = "#c8c8c8"
CROWD, NAMED = 12, 10
"""With more than CROWD architectures, a legend names only NAMED of them."""
ASIDE = 1.06
"""Factor in x by which bars are kept apart."""
MARKERS = "osD^v*"
DASHES = ("-", "--", ":", "-.")
"""Shapes and dashes of architectures, for those who do not see the colours; as on the page."""


def draw(analysis: Analysis, out_dir: Path) -> dict[str, Path]:
    """Write each figure that has data as PNG and SVG; returns paths by file name."""
    files = {
        "law": f"loss_by_{analysis.axis.column.removeprefix('n_')}",
        "curves": "training_curves",
        "tokens": "loss_by_budget",
    }
    paths = {}
    for name, plot in all_plots(analysis).items():
        if not any(mark["x"] for mark in plot.marks):
            continue
        drawn = _figure(plot, analysis)
        for kind in ("png", "svg"):
            file = f"{files.get(name, name.replace('-', '_'))}.{kind}"
            paths[file] = out_dir / file
            drawn.savefig(paths[file], dpi=180)
            # The layout takes as long as the drawing, and need not be computed twice.
            drawn.set_layout_engine("none")
    return paths


def figure(analysis: Analysis, name: str) -> Figure:
    """One plot of the report, by its name in `fitting.export.all_plots`: "law", "residuals", ..."""
    return _figure(all_plots(analysis)[name], analysis)


def _figure(plot: Plot, analysis: Analysis) -> Figure:
    # Imported here so that a command that fails on bad input need not wait for matplotlib.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.add_subplot()
    axes.set_xlabel(escape.label(plot.x))
    axes.set_ylabel(escape.label(plot.y))
    axes.set_xscale("log")
    _frame(axes, plot)
    colours = _colours(analysis)
    crowded = len(analysis.laws) > CROWD
    for k, colour in colours.items():
        named: set[str] = set()
        mine = [mark for mark in plot.marks if mark["k"] == k]
        # A legend names the runs first, then their law.
        for mark in sorted(mine, key=lambda mark: mark["kind"] != "points"):
            label = mark.get("label", "")
            hidden = colour == GREY or (crowded and label != list(analysis.laws)[k])
            if label in named or hidden:
                label = ""
            named.add(label)
            if colour != GREY or mark["kind"] not in ("band", "bar"):
                _draw(axes, mark, colour, escape.legend(label) if label else None)
    _legend(axes, len(analysis.laws))
    return drawn


def _draw(axes: Axes, mark: Mark, colour: str, label: str | None) -> None:
    x, y = mark["x"], mark["y"]
    if mark["kind"] == "line":
        dash = DASHES[mark["k"] % len(DASHES)]
        width = 0.8 if mark.get("thin") else 1.4
        axes.plot(x, y, color=colour, lw=width, ls=dash, label=label)
    elif mark["kind"] == "band":
        axes.fill_between(x, *_ends(axes, mark), color=colour, alpha=0.15, lw=0)
    elif mark["kind"] == "bar":
        at = [x[0] * ASIDE ** (mark["k"] + 1)]
        axes.vlines(at, *_ends(axes, mark), color=colour)
        axes.plot(at, y, "_", ms=8, color=colour)
    elif mark["kind"] == "best":
        axes.plot(x, y, "v", ms=4, color=colour)
    else:
        if "low" in mark:
            axes.vlines(x, *_ends(axes, mark), color=colour, lw=0.8)
        shape = MARKERS[mark["k"] % len(MARKERS)]
        axes.plot(x, y, shape, ms=4, color=colour, label=label)


def _ends(axes: Axes, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of a band, a bar or error bars; an open end is beyond the top of the axes."""
    beyond = 2 * axes.get_ylim()[1]
    low, high = (np.atleast_1d(np.array(mark[end], dtype=float)) for end in ("low", "high"))
    return low, np.where(np.isnan(high), beyond, high)


def _frame(axes: Axes, plot: Plot) -> None:
    """Scale the y axis to what is drawn, bands and bars aside."""
    from matplotlib.ticker import (
        LogFormatterSciNotation,
        MaxNLocator,
        NullLocator,
        PercentFormatter,
        ScalarFormatter,
    )

    drawn = [value for mark in plot.marks for value in mark["y"]]
    for mark in plot.marks:
        if mark["kind"] == "points":
            drawn += [value for end in ("low", "high") for value in mark.get(end, ()) if value]
    y = np.array(drawn or [1.0])
    low, high = float(y.min()), float(y.max())
    axes.xaxis.set_major_formatter(LogFormatterSciNotation())
    axes.grid(alpha=0.25)
    if plot.log_y:
        axes.set_yscale("log")
        axes.set_ylim(low * 0.95, high * 1.05)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
    elif plot.percent:
        reach = 1.1 * max(abs(low), abs(high), 1e-9)
        axes.set_ylim(-reach, reach)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.axhline(0, color="#888", lw=0.8, zorder=0)
    else:
        room = 0.08 * ((high - low) or abs(high) or 1.0)
        axes.set_ylim(low - room, high + room)


def _colours(analysis: Analysis) -> dict[int, str]:
    """The colour of each architecture by its number, in the order in which they are drawn.

    With more than a dozen, only the ten with the lowest loss have one; the others are drawn first,
    in grey, and no legend names them.
    """
    laws = list(analysis.laws.values())
    if len(laws) <= CROWD:
        series = len(laws) + len(drawn_baselines(analysis))
        return {k: COLOURS[k % len(COLOURS)] for k in range(series)}
    # An architecture without a loss to show comes last, as NaN does.
    lowest = pd.Series([law.selection.runs["val_loss"].min() for law in laws])
    order = [int(k) for k in lowest.sort_values(kind="stable").index]
    others = dict.fromkeys(order[: NAMED - 1 : -1], GREY)
    return others | dict(zip(order[:NAMED], COLOURS))


def _legend(axes: Axes, archs: int) -> None:
    if not axes.get_legend_handles_labels()[0]:
        return
    if archs <= CROWD:
        axes.legend(fontsize=8, frameon=False)
        return
    axes.legend(
        title=f"the {NAMED} lowest of {archs}",
        loc="upper left",
        bbox_to_anchor=(1, 1),
        fontsize=7,
        title_fontsize=7,
        frameon=False,
    )
