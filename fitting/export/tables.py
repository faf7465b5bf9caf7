"""An analysis as plain data: fit.json, laws.csv, laws.tex, runs.csv."""

import math
from typing import Any

import pandas as pd

from fitting.analysis import Analysis
from fitting.arch_law import ArchLaw
from fitting.compare.comparison import Comparison
from fitting.contract import TEXTS
from fitting.export.json_values import plain
from fitting.export.scrutiny_json import scrutiny_json
from fitting.export.surface_json import surface_json
from fitting.law.alternatives import HUBER_DELTA
from fitting.law.intervals import Interval
from fitting.runs.escape import latex, spreadsheet
from fitting.runs.loss import VAL_LOSS

SCHEMA = 3
"""Raised when a name in fit.json changes."""


def fit_json(analysis: Analysis) -> dict[str, Any]:
    """All results as JSON values; open interval ends and absent numbers are null.

    Intervals [low, high] are at 95 %.
    """
    axis, loss = analysis.axis, analysis.loss
    return plain(
        {
            "schema": SCHEMA,
            "law": f"L({axis.symbol}) = a * {axis.symbol}**-alpha + c",
            "against": axis.column,
            "against_label": axis.label,
            "loss": f"{loss.column}: {loss.meaning}",
            "loss_column": loss.column,
            "loss_unit": loss.unit,
            "level": 0.95,
            "notes": list(analysis.notes),
            "baselines": analysis.baselines,
            "laws": {arch: _law(law, loss.key) for arch, law in analysis.laws.items()},
            "comparisons": [_comparison(comparison) for comparison in analysis.comparisons],
            "not_compared": [vars(pair) for pair in analysis.not_compared],
        }
    )


def laws_table(analysis: Analysis) -> pd.DataFrame:
    """One row per architecture: the law, its intervals and its verdict."""
    rows = []
    for arch, law in analysis.laws.items():
        held = law.held_out
        rows.append(
            {
                "arch": arch,
                "verdict": law.verdict.word,
                "reasons": "; ".join(law.verdict.reasons),
                "runs": len(law.selection.runs),
                "loss": analysis.loss.column,
                "against": analysis.axis.column,
                "points": law.selection.runs[analysis.axis.column].nunique(),
                "a": law.a,
                "alpha": law.alpha,
                "alpha_low": law.alpha_interval.low,
                "alpha_high": law.alpha_interval.high,
                "c": law.c,
                "c_low": law.c_interval.low,
                "c_high": law.c_interval.high,
                "noise": law.fit.noise if law.fit else math.nan,
                "held_out_at": held.n if held else math.nan,
                "held_out_observed": held.observed if held else math.nan,
                "held_out_predicted": held.predicted if held else math.nan,
                "held_out_low": held.interval.low if held else math.nan,
                "held_out_high": held.interval.high if held else math.nan,
            }
        )
    return pd.DataFrame(rows)


def laws_csv(analysis: Analysis) -> str:
    """`laws_table` as CSV. Text that begins like a formula (=, +, -, @) is prefixed with a '."""
    table = laws_table(analysis)
    texts = {name: table[name].map(spreadsheet) for name in ("arch", "verdict", "reasons")}
    return table.assign(**texts).to_csv(index=False)


def runs_csv(analysis: Analysis) -> str:
    """The runs with all that was measured, for `--csv`: a row a run, text as in `laws_csv`."""
    table = analysis.records.drop(columns="train_curve")
    texts = {name: table[name].map(spreadsheet) for name in TEXTS}
    return table.assign(**texts).to_csv(index=False)


def laws_tex(analysis: Analysis) -> str:
    """A booktabs table of the laws."""
    lines = [
        r"\begin{tabular}{lrrrrl}",
        r"\toprule",
        r"architecture & runs & $a$ & $\alpha$ (95\,\%) & $c$ (95\,\%) & verdict \\",
        r"\midrule",
    ]
    for arch, law in analysis.laws.items():
        cells = (
            [f"{law.a:.3g}", _tex(law.alpha, law.alpha_interval), _tex(law.c, law.c_interval)]
            if law.falls
            else ["--", "--", "--"]
        )
        runs = str(len(law.selection.runs))
        lines.append(" & ".join([latex(arch), runs, *cells, law.verdict.word]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _law(law: ArchLaw, loss: str) -> dict[str, Any]:
    """`loss`: the name under which a run's loss is listed."""
    held, other = law.held_out, law.alternatives
    return {
        "verdict": law.verdict.word,
        "reasons": list(law.verdict.reasons),
        "a": law.a,
        "alpha": law.alpha,
        "c": law.c,
        "alpha_interval": law.alpha_interval,
        "c_interval": law.c_interval,
        "alpha_student_t": law.alpha_student,
        "c_student_t": law.c_student,
        "along": law.selection.along,
        "noise": law.fit.noise if law.fit else None,
        "noise_growth": law.fit.spread.growth if law.fit else None,
        "noise_shared": _shared(law),
        "gradient": law.fit.gradient if law.fit else None,
        "held_out": None
        if held is None
        else {
            "at": held.n,
            "observed": held.observed,
            "predicted": held.predicted,
            "interval": held.interval,
            "relative_error": held.relative_error,
        },
        "beyond": None
        if law.beyond is None
        else {
            "at": law.beyond.n,
            "now": law.beyond.now,
            "then": law.beyond.then,
            "interval": law.beyond.interval,
            "by_form": law.beyond.by_form,
        },
        "by_unit": [
            {
                "loss": each.column,
                "unit": each.unit,
                "a": each.fit.a,
                "alpha": each.fit.alpha,
                "c": each.fit.c,
                "alpha_interval": each.alpha_interval,
                "c_interval": each.c_interval,
            }
            for each in law.by_unit
        ],
        "by_origin": [
            {
                "origin": each.origin,
                "share": each.share,
                "loss_at_largest": each.at_largest,
                "loss_at_largest_se": each.error,
                "verdict": each.verdict.word,
                "reasons": list(each.verdict.reasons),
                "a": each.fit.a if each.fit else None,
                "alpha": each.fit.alpha if each.fit else None,
                "c": each.fit.c if each.fit else None,
                "alpha_interval": each.alpha_interval,
            }
            for each in law.by_origin
        ],
        "without_floor": None
        if other is None
        else {
            "a": other.a_no_floor,
            "alpha": other.alpha_no_floor,
            "aicc_gain_of_floor": other.aicc_gain,
            "said": other.sentence(),
        },
        "huber": None
        if other is None
        else {
            "a": other.a_huber,
            "alpha": other.alpha_huber,
            "c": other.c_huber,
            "delta": HUBER_DELTA,
        },
        "surface": surface_json(law.surface, loss) if law.surface else None,
        "repeated_data": {
            "said": law.repeated_note,
            "r_star": law.repeated.r_star if law.repeated else None,
        },
        "isoflop": None
        if law.frontier is None
        else {
            "exponent": law.frontier.exponent,
            "minima": [
                {"flops": curve.flops, "n_opt": curve.n_opt, "d_opt": curve.d_opt}
                for curve in law.frontier.curves
            ],
        },
        "scrutiny": scrutiny_json(law.scrutiny) if law.scrutiny else None,
        "leave_one_out": [
            {"at": i.n, loss: i.loss, "alpha": i.alpha, "c": i.c} for i in law.influence
        ],
        "fitted": rows(law.selection.runs, loss),
        "left_out": rows(law.selection.left_out, loss, "status", "why"),
    }


def _shared(law: ArchLaw) -> float | None:
    """The share of a run's variance that all runs of its size share, if seeds determine it."""
    if law.fit is None or law.fit.spread.within_dof < 1 or law.fit.spread.between_dof < 1:
        return None
    spread = law.fit.spread
    between = (1 - spread.share) / spread.runs_a_size
    return between / (between + spread.share)


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "first": comparison.first,
        "second": comparison.second,
        "axis": comparison.axis,
        "alpha_difference": comparison.alpha_difference,
        "alpha_difference_interval": comparison.alpha_interval,
        "at": comparison.at,
        "loss_difference": comparison.loss_difference,
        "loss_difference_interval": comparison.loss_interval,
        "cost_multiplier": comparison.multiplier,
        "cost_multiplier_interval": comparison.multiplier_interval,
        "unit": comparison.unit,
        "crossing": None
        if comparison.crossing is None
        else {"at": comparison.crossing.at, "interval": comparison.crossing.interval},
        "interpolated": list(comparison.interpolated),
        "also_differ": list(comparison.also),
    }


def rows(runs: pd.DataFrame, loss: str, *more: str) -> list[dict[str, Any]]:
    """Runs as JSON objects: what identifies a run, its loss under the name `loss`, and `more`."""
    columns = ["cell_key", "size", "n_params", "seed", "lr", "tokens", "flops", VAL_LOSS, *more]
    named = runs[columns].rename(columns={VAL_LOSS: loss})
    return [plain(row) for row in named.to_dict("records")]


def _tex(value: float, interval: Interval) -> str:
    high = r"$\infty$" if math.isinf(interval.high) else f"{interval.high:.3g}"
    return f"{value:.3g} [{interval.low:.3g}, {high}]"
