"""Figures for papers, drawn without a display: the plots of the page as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fitting.analysis import Analysis
from fitting.arch_law import ArchLaw
from fitting.law.intervals import law_band
from fitting.runs.escape import legend
from fitting.scrutiny.collapse import SHOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (
    *("#1b6ca8", "#d1495b", "#3a7d44", "#8a5a9e", "#b8860b", "#555555"),
    *("#00a3a3", "#e07a1f", "#7a4b2a", "#c56fa8"),
)
"""Distinct in print and to colour-blind readers; the page uses the first six, in this order."""
CROWD, NAMED = 12, 10
"""With more than CROWD architectures, a legend names only NAMED of them."""
LOSS = "validation loss, nats per token"


def draw(analysis: Analysis, out_dir: Path) -> dict[str, Path]:
    """Write each figure that has data as PNG and SVG; returns paths by file name."""
    figures = {
        f"loss_by_{analysis.axis.column.removeprefix('n_')}": loss_figure(analysis),
        "residuals": residual_figure(analysis),
        "training_curves": curve_figure(analysis),
        "sensitivity": sensitivity_figure(analysis),
        "collapse": collapse_figure(analysis),
        "loss_by_budget": budget_figure(analysis),
        "isoflop": isoflop_figure(analysis),
    }
    paths = {}
    for name, figure in figures.items():
        if figure.axes[0].get_legend():
            for kind in ("png", "svg"):
                paths[f"{name}.{kind}"] = out_dir / f"{name}.{kind}"
                figure.savefig(paths[f"{name}.{kind}"], dpi=180)
                # The layout takes as long as the drawing, and need not be computed twice.
                figure.set_layout_engine("none")
    return paths


def loss_figure(analysis: Analysis) -> Figure:
    """Runs, law and 95 % band of each architecture, and the held-out prediction of the largest."""
    figure, axes = _figure(analysis.axis.label, LOSS)
    column, losses = analysis.axis.column, []
    aside = 1.06
    for colour, name, law in _styled(analysis):
        runs = law.selection.runs
        if runs.empty:
            continue
        axes.plot(runs[column], runs["val_loss"], "o", ms=4, color=colour, label=name)
        losses += [runs["val_loss"].min(), runs["val_loss"].max()]
        if law.fit is None or law.verdict.word == "not supported":
            continue
        n = np.geomspace(runs[column].min() / 1.5, runs[column].max() * 3, 120)
        symbol = analysis.axis.symbol
        label = f"{law.a:.3g} ${symbol}^{{-{law.alpha:.3g}}}$ + {law.c:.3g} ({law.verdict.word})"
        if len(analysis.laws) > CROWD:
            label = "_"
        axes.plot(n, law.fit.predict(n), color=colour, lw=1.2, label=label)
        if name == "_":
            continue
        low, high = law_band(law.fit, n)
        axes.fill_between(n, low, high, color=colour, alpha=0.15, lw=0)
        if law.held_out:
            held = law.held_out
            ends = [[max(held.predicted - held.interval.low, 0)], [held.interval.high]]
            ends[1][0] = min(max(held.interval.high - held.predicted, 0), 9 * held.predicted)
            axes.errorbar(held.n * aside, held.predicted, ends, fmt="_", color=colour, ls="none")
            aside *= 1.06  # Keeps the bars of architectures apart.
    if losses:
        axes.set_ylim(min(losses) * 0.95, max(losses) * 1.05)
    return _finished(figure, axes, analysis, log_y=True)


def residual_figure(analysis: Analysis) -> Figure:
    """Each run over its law, minus one."""
    figure, axes = _figure(analysis.axis.label, "run over law, minus one (%)")
    for colour, name, law in _styled(analysis):
        if law.fit is not None and law.verdict.word != "not supported":
            rest = 100 * np.expm1(law.fit.residuals())
            axes.plot(law.fit.n, rest, "o", ms=4, color=colour, label=name)
    axes.axhline(0, color="#888", lw=0.8, zorder=0)
    return _finished(figure, axes, analysis)


def curve_figure(analysis: Analysis) -> Figure:
    """Training loss against tokens seen."""
    figure, axes = _figure("tokens seen", "training loss, nats per token")
    for colour, name, law in _styled(analysis):
        label = name
        for points in training_curves(law.selection.runs["train_curve"]):
            tokens, loss = zip(*points)
            axes.plot(tokens, loss, color=colour, lw=0.8, alpha=0.6, label=label)
            label = "_"
    return _finished(figure, axes, analysis, log_y=True)


def sensitivity_figure(analysis: Analysis) -> Figure:
    """The exponent without the smallest or the largest sizes, with 95 % intervals."""
    figure, axes = _figure(f"smallest or largest {analysis.axis.symbol} kept", "alpha")
    for colour, name, law in _styled(analysis):
        for k, one in enumerate(law.scrutiny.ends if law.scrutiny else ()):
            reach = [[max(one.alpha - one.interval.low, 0)], [one.interval.high - one.alpha]]
            reach[1][0] = min(max(reach[1][0], 0), 2 * one.alpha)
            label = "_" if k else name
            axes.errorbar(one.n_end, one.alpha, reach, fmt="o", ms=4, color=colour, label=label)
            axes.axhline(law.alpha, color=colour, lw=0.8, zorder=0)
    return _finished(figure, axes, analysis)


def collapse_figure(analysis: Analysis) -> Figure:
    """Training curves normalised by their end; a size that leaves the bundle is drawn thick."""
    figure, axes = _figure("fraction of training, t / T", "(L(t) - c) / (L(T) - c)")
    for colour, name, law in _styled(analysis):
        bundle = law.scrutiny.collapse if law.scrutiny else None
        named = {one.n for one in bundle.leaving} if bundle else set()
        for k, curve in enumerate(bundle.curves if bundle else ()):
            width, label = 2 if curve.n in named else 0.8, "_" if k else name
            axes.plot(SHOWN[1:], curve.r, color=colour, lw=width, label=label)
    return _finished(figure, axes, analysis, log_y=True)


def budget_figure(analysis: Analysis) -> Figure:
    """Loss by tokens for sizes trained at several budgets."""
    figure, axes = _figure("training tokens", LOSS)
    for colour, name, law in _styled(analysis):
        label = name
        for _, mean in budgets(law.selection.all_budgets):
            axes.plot(mean.index, mean, "o-", ms=3, lw=0.8, color=colour, label=label)
            label = "_"
    return _finished(figure, axes, analysis, log_y=True)


def isoflop_figure(analysis: Analysis) -> Figure:
    """Loss by size at equal training compute, with the best size of each parabola."""
    figure, axes = _figure("parameters (non-embedding + head)", LOSS)
    for colour, name, law in _styled(analysis):
        for k, curve in enumerate(law.frontier.curves if law.frontier else ()):
            n = np.geomspace(curve.n.min(), curve.n.max(), 80)
            axes.plot(curve.n, curve.loss, "o", ms=3, color=colour, label="_" if k else name)
            axes.plot(n, curve.predict(n), color=colour, lw=0.8)
            axes.plot(curve.n_opt, curve.predict(curve.n_opt), "v", ms=5, color=colour)
    return _finished(figure, axes, analysis)


def training_curves(recorded: Iterable[object]) -> list[list[tuple[float, float]]]:
    """The recorded curves, without points that a logarithmic axis cannot show."""
    lists = [points for points in recorded if isinstance(points, list)]
    clean = [[(t, v) for t, v in points if t > 0 and np.isfinite(v) and v > 0] for points in lists]
    return [points for points in clean if points]


def budgets(runs: pd.DataFrame) -> list[tuple[float, pd.Series]]:
    """Mean loss by tokens, for each size that was trained at several budgets."""
    means = runs.groupby(["n_params", "tokens"])["val_loss"].mean()
    several = means[means.groupby(level=0).transform("size") > 1]
    sizes = several.index.get_level_values(0).unique()
    return [(float(n), several.loc[n]) for n in sizes]


def _styled(analysis: Analysis) -> list[tuple[str, str, ArchLaw]]:
    """Colour, name in the legend and law of each architecture.

    With more than a dozen, only the ten with the lowest loss are named; the others are drawn first,
    in grey, with a label that legends leave out.
    """
    laws = analysis.laws
    if len(laws) <= CROWD:
        colours = (COLOURS[k % len(COLOURS)] for k in range(len(laws)))
        return [(colour, legend(arch), law) for colour, (arch, law) in zip(colours, laws.items())]
    # An architecture without a loss to show comes last, as NaN does.
    lowest = pd.Series({a: law.selection.runs["val_loss"].min() for a, law in laws.items()})
    order = list(lowest.sort_values(kind="stable").index)
    best = [(c, legend(a), laws[a]) for c, a in zip(COLOURS, order[:NAMED])]
    return [("#c8c8c8", "_", laws[a]) for a in order[: NAMED - 1 : -1]] + best


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    # Imported here so that a command that fails on bad input need not wait for matplotlib.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _finished(figure: Figure, axes: Axes, analysis: Analysis, log_y: bool = False) -> Figure:
    from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator, NullLocator, ScalarFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(LogFormatterSciNotation())
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.25)
    if not axes.get_legend_handles_labels()[0]:
        return figure
    if (many := len(analysis.laws)) > CROWD:
        axes.legend(
            title=f"the {NAMED} lowest of {many}",
            loc="upper left",
            bbox_to_anchor=(1, 1),
            fontsize=7,
            title_fontsize=7,
            frameon=False,
        )
    else:
        axes.legend(fontsize=8, frameon=False)
    return figure
