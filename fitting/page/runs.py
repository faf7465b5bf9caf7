"""The sections of report.html on the runs themselves: each with its losses, and those left out."""

import pandas as pd

from fitting.analysis import Analysis
from fitting.contract import APART
from fitting.page.markup import section, table
from fitting.runs.loss import VAL_LOSS

MOST = 500
"""Rows shown; runs.csv has all."""
MOST_LEFT_OUT = 200
LOSSES = {"val_loss": "validation loss", "test_loss": "test loss"}


def sections(analysis: Analysis) -> str:
    """All runs in a table, folded when long; then which of them no law was fitted to, and why."""
    out = pd.concat([law.selection.left_out for law in analysis.laws.values()])
    lead = f"{len(analysis.records):,} runs. A standard error is over the works of the split."
    if out.empty:
        lead += " None was left out of the laws."
    return section("The runs", _all(analysis), lead=lead) + _left_out(out)


def _all(analysis: Analysis) -> str:
    records = analysis.records.sort_values(["arch", "n_params", "seed"], kind="stable")
    varied = [name for name in ("lr", *APART) if records[name].dropna().nunique() > 1]
    head = ["", "size", "N", "tokens", "seed", *varied]
    losses = [name for name in LOSSES if records[name].notna().any()]
    head += [text for name in losses for text in (LOSSES[name], "± s.e.")]
    other = [analysis.loss.column] if analysis.loss.column not in LOSSES else []
    head += [*other, "seconds", "status"]
    rows = [
        [
            row["arch"],
            row["size"],
            *(_number(row[name], ".0f") for name in ("n_params", "tokens")),
            _number(row["seed"]),
            *(row[name] if isinstance(row[name], str) else _number(row[name]) for name in varied),
            *(_loss(row.get(f"{name}{end}")) for name in losses for end in ("", "_se")),
            *(_loss(row[name]) for name in other),
            _number(row["seconds"], ".0f"),
            row["status"],
        ]
        for row in records.head(MOST).to_dict("records")
    ]
    more = f"<p>And {len(records) - MOST:,} more, in runs.csv.</p>" if len(records) > MOST else ""
    return table("All runs", head, rows) + more


def _left_out(out: pd.DataFrame) -> str:
    rows = [
        [
            row["arch"],
            row["size"],
            _number(row["n_params"], ".0f"),
            *(_number(row[name]) for name in ("seed", "lr", VAL_LOSS)),
            row["why"],
        ]
        for row in out.head(MOST_LEFT_OUT).to_dict("records")
    ]
    rest = len(out) - len(rows)
    return section(
        "Runs that were left out",
        table("Runs left out", ["", "size", "N", "seed", "lr", "loss", "why"], rows),
        f"<p>And {rest} more, in fit.json.</p>" if rest else "",
    )


def _number(value: float, form: str = ".6g") -> str:
    return "–" if pd.isna(value) else f"{value:,{form}}"


def _loss(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.4f}"
