"""Every plot of the report as marks on two axes: the page and the figures draw the same marks.

A mark is a dict. `kind` is points, line, band, bar (an interval at one x) or best (a minimum). `k`
is the number of its architecture, which gives colour, shape and dash. `x` and `y` are lists; a band
or bar also has `low` and `high`, None where open, and so have points with error bars. `thin` makes
a line thin, `tips` are the texts shown at its points, `name` is that of a line where it is pointed
at, and `label` is its name in a legend. Axes are scaled to x, y and error bars, not to bands and
bars.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fitting.analysis import Analysis
from fitting.arch_law import ArchLaw
from fitting.export.json_values import plain
from fitting.law.intervals import law_band
from fitting.runs.axis import Axis

LINE_POINTS = 80
Mark = dict[str, Any]


@dataclass(frozen=True)
class Plot:
    """Marks, and how their axes are written. The x axis is logarithmic at first."""

    title: str
    x: str
    y: str
    marks: list[Mark]
    key: dict[str, str]
    """What each kind of mark is, in the order of a legend; "error" is an error bar."""
    log_y: bool = False
    percent: bool = False
    """Whether y is a fraction about 0, written in percent on an axis symmetric about 0."""


LOWEST, HIGHEST = 0.9, 1.02
"""Baselines are drawn between these multiples of the lowest and the highest loss of a run: one far
off would flatten the laws."""


def drawn_baselines(analysis: Analysis) -> dict[str, float]:
    """The loss of each baseline that is drawn beside the laws."""
    fitted = [law.selection.runs for law in analysis.laws.values()]
    losses = pd.concat([runs["val_loss"] for runs in fitted])
    column = analysis.loss.column
    known = {name: each[column] for name, each in analysis.baselines.items() if column in each}
    low, high = LOWEST * losses.min(), HIGHEST * losses.max()
    return {name: loss for name, loss in known.items() if low <= loss <= high}


def law_plots(analysis: Analysis) -> dict[str, Plot]:
    """Laws, residuals, training curves, budgets and isoFLOP curves; some may have no marks."""
    axis, loss, laws = analysis.axis, analysis.loss.label, list(enumerate(analysis.laws.values()))
    return {
        "law": Plot(
            f"{analysis.loss.title} by {axis.label}",
            axis.label,
            loss,
            [mark for k, law in laws for mark in _law(k, law, axis)] + _baselines(analysis),
            {
                "points": "a run",
                "error": "± 1 standard error of its loss",
                "line": "the law" + (", or counting alone" if drawn_baselines(analysis) else ""),
                "band": "95 % band of the law",
                "bar": "the largest, predicted from the others, 95 %",
            },
            log_y=True,
        ),
        "residuals": Plot(
            f"Residuals by {axis.label}",
            axis.label,
            "run over law, minus one",
            [mark for k, law in laws for mark in _residuals(k, law, axis)],
            {"points": "a run"},
            percent=True,
        ),
        "curves": Plot(
            "Training curves",
            "tokens seen",
            "training loss, nats per token",
            [mark for k, law in laws for mark in _curves(k, law)],
            {"line": "a run"},
            log_y=True,
        ),
        "tokens": Plot(
            "Loss by training tokens",
            "training tokens",
            loss,
            [mark for k, law in laws for mark in _budgets(k, law)],
            {"points": "mean of the runs of a size and budget", "line": "one size"},
            log_y=True,
        ),
        "isoflop": Plot(
            "IsoFLOP curves",
            "parameters (non-embedding + head)",
            loss,
            [mark for k, law in laws for mark in _isoflop(k, law)],
            {"points": "a run", "line": "parabola of a compute", "best": "its best size"},
        ),
    }


def _drawn(law: ArchLaw) -> bool:
    """Whether the law is drawn: a rejected one is not."""
    return law.fit is not None and law.verdict.word != "not supported"


def _law(k: int, law: ArchLaw, axis: Axis) -> list[Mark]:
    runs = law.selection.runs
    points = run_points(k, law.arch, runs, axis, runs["val_loss"].tolist())
    points |= errors(runs)
    if law.fit is None or not _drawn(law):
        return [points]
    n = np.geomspace(law.fit.n.min() / 1.3, law.fit.n.max() * 4, LINE_POINTS)
    low, high = law_band(law.fit, n)
    line = {"k": k, "x": n.tolist(), "y": law.fit.predict(n).tolist(), "name": f"{law.arch}: law"}
    equation = f"{law.a:.3g} {axis.symbol}^-{law.alpha:.3g} + {law.c:.3g} ({law.verdict.word})"
    marks = [
        line | {"kind": "band", "low": plain(low), "high": plain(high)},
        line | {"kind": "line", "label": equation},
    ]
    if held := law.held_out:
        tip = f"{law.arch}: predicted {held.predicted:.4f}\nobserved {held.observed:.4f}"
        low_end, high_end = plain(held.interval)
        marks.append(
            {
                "kind": "bar",
                "k": k,
                "x": [held.n],
                "y": [held.predicted],
                "low": low_end,
                "high": high_end,
                "tips": [tip],
            }
        )
    return [*marks, points]


def _baselines(analysis: Analysis) -> list[Mark]:
    """A level line each, over all runs; numbered after the architectures."""
    fitted = [law.selection.runs[analysis.axis.column] for law in analysis.laws.values()]
    values = pd.concat(fitted)
    ends = [float(values[values > 0].min()), float(values.max())]
    return [
        {
            "kind": "line",
            "thin": True,
            "k": k,
            "x": ends,
            "y": [loss, loss],
            "name": f"{name}: {loss:.4f}",
            "label": name,
        }
        for k, (name, loss) in enumerate(drawn_baselines(analysis).items(), len(analysis.laws))
    ]


def errors(runs: pd.DataFrame) -> Mark:
    """Ends of the error bars of runs' losses; nothing where no standard error is known."""
    error = runs["val_loss_se"]
    if not (error > 0).any():
        return {}
    loss, error = runs["val_loss"], error.fillna(0.0)
    return {"low": (loss - error).tolist(), "high": (loss + error).tolist()}


def _residuals(k: int, law: ArchLaw, axis: Axis) -> list[Mark]:
    if law.fit is None or not _drawn(law):
        return []
    runs, off = law.selection.runs, np.expm1(law.fit.residuals()).tolist()
    return [run_points(k, law.arch, runs, axis, off)]


def run_points(k: int, arch: str, runs: pd.DataFrame, axis: Axis, y: list[float]) -> Mark:
    """A point for each run of an architecture, at `y`."""
    tips = [_tip(row) for row in runs.to_dict("records")]
    x = runs[axis.column].tolist()
    return {"kind": "points", "k": k, "x": x, "y": y, "tips": tips, "label": arch}


def _tip(run: dict[Any, Any]) -> str:
    forms = {"seed": ".6g", "lr": ".6g", "tokens": ",.0f"}
    told = ", ".join(
        f"{name} {run[name]:{form}}" for name, form in forms.items() if not pd.isna(run[name])
    )
    size = f"{run['arch']} {run['size']}, N = {run['n_params']:,.0f}"
    error = "" if pd.isna(run["val_loss_se"]) else f" ± {run['val_loss_se']:.4f}"
    return f"{size}\nloss {run['val_loss']:.4f}{error}\n{told}"


def _curves(k: int, law: ArchLaw) -> list[Mark]:
    marks = []
    for row in law.selection.runs.to_dict("records"):
        name = f"{row['arch']} {row['size']}"
        name += "" if pd.isna(row["seed"]) else f", seed {row['seed']:,.6g}"
        for points in training_curves([row["train_curve"]]):
            tokens, loss = (list(values) for values in zip(*points))
            marks.append(
                {
                    "kind": "line",
                    "thin": True,
                    "k": k,
                    "x": tokens,
                    "y": loss,
                    "name": name,
                    "label": law.arch,
                }
            )
    return marks


def _budgets(k: int, law: ArchLaw) -> list[Mark]:
    marks = []
    for n, mean in budgets(law.selection.all_budgets):
        each = {"k": k, "x": [float(d) for d in mean.index], "y": mean.tolist()}
        name = f"{law.arch}, N = {n:,.0f}"
        tips = [f"{name}\nD = {d:,.0f}\nloss {loss:.4f}" for d, loss in mean.items()]
        marks.append(each | {"kind": "line", "thin": True, "name": name})
        marks.append(each | {"kind": "points", "tips": tips, "label": law.arch})
    return marks


def _isoflop(k: int, law: ArchLaw) -> list[Mark]:
    marks: list[Mark] = []
    for curve in law.frontier.curves if law.frontier else ():
        n = np.geomspace(curve.n.min(), curve.n.max(), LINE_POINTS)
        name = f"{law.arch}, {curve.flops:.2g} FLOPs"
        tip = f"{name}\nbest N {curve.n_opt:,.0f}"
        best = float(curve.predict(curve.n_opt))
        marks += [
            {
                "kind": "line",
                "k": k,
                "x": n.tolist(),
                "y": curve.predict(n).tolist(),
                "name": name,
            },
            {"kind": "best", "k": k, "x": [curve.n_opt], "y": [best], "tips": [tip]},
            {
                "kind": "points",
                "k": k,
                "x": curve.n.tolist(),
                "y": curve.loss.tolist(),
                "tips": [
                    f"{name}\nN = {size:,.0f}\nloss {loss:.4f}"
                    for size, loss in zip(curve.n, curve.loss)
                ],
                "label": law.arch,
            },
        ]
    return marks


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
