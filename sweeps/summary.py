"""What a sweep prints when it is over: its cells, its laws, and where everything lies."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from data.storage import Location
from fitting import records as run_records
from fitting.analysis import Analysis
from fitting.contract import METRICS
from fitting.records import RecordError
from sweeps.console import console, table
from sweeps.records import Record


def frame(records: list[Record]) -> pd.DataFrame:
    """The records as `fitting` reads them, one row a cell.

    RecordError where a finished one lacks a metric of the contract: it would be a silent gap.
    """
    for record in records:
        lacking = [name for name in METRICS if name not in record.measured]
        if record.status == "finished" and lacking:
            raise RecordError(
                f"the record of {record.cell_key} has no {lacking[0]}, which every finished cell "
                "measures; written by another version? Remove its record.json to measure it again"
            )
    return run_records.complete(pd.DataFrame([record.row() for record in records]))


def cells_table(records: list[Record]) -> Table:
    # Axes that do not vary would only make the table wide.
    varied = [name for name in ("seed", "lr", "tokens") if _varies(records, name)]
    numbers = ["n_params", "val_loss", "± s.e.", "test_loss", "seconds"]
    rows = table(["arch", "size", *varied], numbers, ["status"])
    for record in sorted(records, key=_order):
        axes = [str(record.params[name]) for name in ("arch", "size", *varied)]
        if record.status == "finished":
            m = record.measured
            losses = [f"{m[name]:.4f}" for name in ("val_loss", "val_loss_se", "test_loss")]
            rows.add_row(*axes, f"{m['n_params']:,}", *losses, f"{m['seconds']:.0f}", "finished")
        else:
            rows.add_row(*axes, *[""] * 5, record.status)
    return rows


def _varies(records: list[Record], name: str) -> bool:
    """Whether two cells of one architecture and size differ in this."""
    values: dict[tuple[str, str], set[object]] = {}
    for record in records:
        cell = record.params["arch"], record.params["size"]
        values.setdefault(cell, set()).add(record.params[name])
    return any(len(found) > 1 for found in values.values())


def _order(record: Record) -> tuple[str, float, int]:
    n_params = record.measured.get("n_params", float("inf"))
    return record.params["arch"], n_params, record.params["seed"]


def show(
    records: list[Record], missing: list[str], analysis: Analysis | None, report: Location, ui: str
) -> None:
    """missing: names of cells that have no record. ui: where MLflow can be opened."""
    to_user = console()
    to_user.print()
    to_user.print(cells_table(records))
    to_user.print()
    for line in analysis.lines() if analysis else ["No law: no cell has finished."]:
        to_user.print(line)
    for record in records:
        if record.status != "finished":
            to_user.print(
                f"Left out of the laws: {record.cell_key} {record.status}: {record.reason}"
            )
    for name in missing:
        to_user.print(f"Left out of the laws: {name} has not ended")
    to_user.print(f"\nReport   {report / 'report.html'}\nMLflow   {ui}")
