"""Figures for papers: PNG and SVG. Drawn without a display."""

from pathlib import Path

import numpy as np

from fitting.analysis import Analysis
from fitting.intervals import law_band

COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#8a5a9e", "#b8860b", "#555555")
"""Told apart in print and by colour-blind readers; the page uses the same order."""


def draw(analysis: Analysis, out_dir: Path) -> dict[str, Path]:
    """Runs, law and 95 % band of every architecture on logarithmic axes."""
    # Here and not above: a command that fails on bad input should not wait for matplotlib.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator, NullLocator, ScalarFormatter

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for k, (arch, law) in enumerate(analysis.laws.items()):
        runs, colour = law.selection.runs, COLOURS[k % len(COLOURS)]
        if runs.empty:
            continue
        axes.plot(runs["n_params"], runs["val_loss"], "o", ms=4, color=colour, label=arch)
        if law.fit is None or law.verdict.word == "not supported":
            continue
        n = np.geomspace(runs["n_params"].min() / 1.5, runs["n_params"].max() * 3, 120)
        low, high = law_band(law.fit, n)
        label = f"{law.a:.3g} $N^{{-{law.alpha:.3g}}}$ + {law.c:.3g} ({law.verdict.word})"
        axes.plot(n, law.fit.predict(n), color=colour, lw=1.2, label=label)
        axes.fill_between(n, low, high, color=colour, alpha=0.15, lw=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(LogFormatterSciNotation())
    losses = analysis.records["val_loss"][analysis.records["status"] == "finished"]
    axes.set_ylim(losses.min() * 0.95, losses.max() * 1.05)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("parameters (non-embedding + head)")
    axes.set_ylabel("validation loss, nats per token")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    paths = {}
    for kind in ("png", "svg"):
        paths[f"loss_by_params.{kind}"] = out_dir / f"loss_by_params.{kind}"
        figure.savefig(paths[f"loss_by_params.{kind}"], dpi=180)
    return paths
