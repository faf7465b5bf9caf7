"""The sections of report.html on the runs themselves: each with its losses, and those left out."""

import pandas as pd

from fitting.analysis import Analysis
from fitting.contract import APART, TEXTS
from fitting.page.markup import section, table
from fitting.perplexity import perplexity
from fitting.runs.loss import PER_TOKEN, VAL_LOSS

MOST = 500
"""Rows shown; runs.csv has all."""
MOST_LEFT_OUT = 200
LOSSES = {"val_loss": "validation", "test_loss": "test"}
"""Columns, and their heads."""


def sections(analysis: Analysis) -> str:
    """All runs in a table, folded when long; then which of them no law was fitted to, and why."""
    out = pd.concat([law.selection.left_out for law in analysis.laws.values()])
    records = analysis.records
    unit = f" in {PER_TOKEN}" if analysis.loss.unit == PER_TOKEN else ""
    lead = f"{len(records):,} runs: losses{unit}, and e to these, perplexities."
    if records["val_loss_se"].notna().any():
        lead += " A standard error is over the works of the split."
    if out.empty:
        lead += " None was left out of the laws."
    return section("The runs", _all(analysis), lead=lead) + _left_out(out)


def _all(analysis: Analysis) -> str:
    records = analysis.records.sort_values(["arch", "n_params", "seed"], kind="stable")
    # A shape follows from architecture and size, and would be wide.
    axes = [name for name in ("lr", *APART) if name != "shape"]
    varied = [name for name in axes if records[name].dropna().nunique() > 1]
    other = [analysis.loss.column] if analysis.loss.column not in LOSSES else []
    rows = [
        {
            "": row["arch"],
            "size": row["size"],
            "N": _number(row["n_params"], ".0f"),
            "tokens": _number(row["tokens"], ".0f"),
            "seed": _number(row["seed"]),
        }
        | {name: row[name] if name in TEXTS else _number(row[name]) for name in varied}
        | {
            f"{text}{said}": _loss(row[f"{name}{end}"])
            for name, text in LOSSES.items()
            for end, said in (("", ""), ("_se", " ± s.e."))
        }
        | {f"{text} perplexity": perplexity(row[name]) for name, text in LOSSES.items()}
        | {name: _loss(row[name]) for name in other}
        | {"seconds": _number(row["seconds"], ".0f"), "status": row["status"]}
        for row in records.head(MOST).to_dict("records")
    ]
    # What no run was measured for has no column.
    head = [name for name in rows[0] if any(row[name] not in ("", "–") for row in rows)]
    more = f"<p>And {len(records) - MOST:,} more, in runs.csv.</p>" if len(records) > MOST else ""
    return table("All runs", head, [[row[name] for name in head] for row in rows]) + more


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


def _loss(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.4f}"
