"""What a sweep prints when it is over: its cells, its laws, and where everything is."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from rich.table import Table

from data.store.location import Location
from fitting.analysis import Analysis
from fitting.contract import METRICS
from fitting.outcomes import Review
from fitting.runs.read import RecordError, complete
from sweeps.console import console, table
from sweeps.records import row
from trainers.names import varying
from trainers.records import Record


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """The records as `fitting` reads them, one row per cell.

    Raises RecordError if a finished one lacks a metric of the contract, which would otherwise leave
    a silent gap.
    """
    for record in records:
        lacking = [name for name in METRICS if name not in record.measured]
        if record.status == "finished" and lacking:
            raise RecordError(
                f"the record of {record.cell_key} has no {lacking[0]}, which every finished cell "
                "measures; written by another version? Remove its record.json to measure it again"
            )
    return complete(pd.DataFrame([row(record) for record in records]))


def cells_table(records: list[Record]) -> Table:
    # Axes that do not vary would only widen the table.
    varied = varying(record.params for record in records)
    numbers = ["n_params", "val_loss", "± s.e.", "test_loss", "seconds"]
    rows = table(["arch", "size", *varied], numbers, ["status"])
    for record in sorted(records, key=_order):
        axes = [str(record.params.get(name, "")) for name in ("arch", "size", *varied)]
        if record.status == "finished":
            m = record.measured
            losses = [f"{m[name]:.4f}" for name in ("val_loss", "val_loss_se", "test_loss")]
            rows.add_row(*axes, f"{m['n_params']:,}", *losses, f"{m['seconds']:.0f}", "finished")
        else:
            rows.add_row(*axes, *[""] * 5, record.status)
    return rows


def _order(record: Record) -> tuple[str, float, int]:
    n_params = record.measured.get("n_params", float("inf"))
    return record.params["arch"], n_params, record.params["seed"]


def show(
    records: dict[str, Record],
    called: dict[str, str],
    missing: list[str],
    analysis: Analysis | None,
    paired: list[str],
    forecast: Review | None,
    report: Location,
    ui: str,
) -> None:
    """Print the end of a sweep.

    records: by key. called: the cells' names, by key. missing: names of cells without a record.
    paired: lines from `sweeps.pairing`. ui: where MLflow can be opened.
    """
    to_user = console()
    to_user.print()
    to_user.print(cells_table(list(records.values())))
    to_user.print()
    for line in analysis.lines() if analysis else ["No law: no cell has finished."]:
        to_user.print(line)
    for line in paired:
        to_user.print(line)
    for line in forecast.lines() if forecast else []:
        to_user.print(line)
    for key, record in records.items():
        if record.status != "finished":
            to_user.print(f"Left out of the laws: {called[key]} {record.status}: {record.reason}")
    for name in missing:
        to_user.print(f"Left out of the laws: {name} has not ended")
    to_user.print(f"\nReport   {report / 'report.html'}\nMLflow   {ui}")
