"""What a sweep prints when it is over: its cells, its laws, and where everything is."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from rich.table import Table

from data.store.location import Location
from fitting.analysis import Analysis
from fitting.outcomes import Review
from fitting.runs.read import complete
from sweeps.console import console, print_sentence, print_table, table
from sweeps.records import row
from sweeps.sweep import Sweep
from trainers.names import varying
from trainers.records import Record, doubts


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """The records as `fitting` reads them, one row per cell."""
    return complete(pd.DataFrame([row(record) for record in records]))


def cells_table(records: list[Record]) -> Table:
    # Axes that do not vary would only widen the table.
    varied = varying(record.params for record in records)
    numbers = ["n_params", "val_loss", "± s.e.", "test_loss", "seconds"]
    told = any(record.status != "finished" for record in records)
    rows = table(["arch", "size", *varied], numbers, ["status"] * told)
    for record in sorted(records, key=_order):
        axes = [str(record.params.get(name, "")) for name in ("arch", "size", *varied)]
        if record.status == "finished":
            m = record.measured
            losses = [f"{m[name]:.4f}" for name in ("val_loss", "val_loss_se", "test_loss")]
            status = ["finished"] * told
            rows.add_row(*axes, f"{m['n_params']:,}", *losses, f"{m['seconds']:.0f}", *status)
        else:
            rows.add_row(*axes, *[""] * 5, record.status)
    return rows


def _order(record: Record) -> tuple[str, float, int]:
    n_params = record.measured.get("n_params", float("inf"))
    return record.params["arch"], n_params, record.params["seed"]


def show(
    records: dict[str, Record],
    called: dict[str, str],
    left_out: dict[str, str],
    analysis: Analysis | None,
    paired: list[str],
    forecast: Review | None,
    last: list[str],
    report: Location,
    ui: str,
    following: list[str],
) -> None:
    """Print the end of a sweep.

    records: by key. called: the cells' names, by key. left_out: why a cell has no record,
    or none that can be read, by the cell's name.
    paired: lines of `pairing`. last: lines below the others; "" is none.
    ui: where MLflow can be opened. following: commands.
    """
    to_user = console()
    to_user.print()
    print_table(cells_table(list(records.values())))
    to_user.print()
    told = analysis.lines() if analysis else ["No law: no cell has finished."]
    told += [*paired, *(forecast.lines() if forecast else [])]
    for key, record in records.items():
        if record.status != "finished":
            told.append(f"Left out of the laws: {called[key]} {record.status}: {record.reason}")
        told += [f"Doubtful: {called[key]}: {doubt}" for doubt in doubts(record)]
    told += [f"Left out of the laws: {name}: {why}" for name, why in left_out.items()]
    told += filter(None, last)
    for line in told:
        print_sentence(to_user, line)
    to_user.print(f"\nReport   {report / 'report.html'}")
    if (report / "samples.html").exists():
        to_user.print(f"Samples  {report / 'samples.html'}")
    to_user.print(f"MLflow   {ui}")
    for line in following:
        to_user.print(line)


def following(sweep: Sweep) -> list[str]:
    """What is worth typing when a sweep has ended."""
    out = "" if sweep.out == Location.of("runs") else f" --out {shlex.quote(str(sweep.out))}"
    data = f" --data {shlex.quote(sweep.elsewhere)}" if sweep.elsewhere else ""
    compose = f"python -m trainers.generate --sweep {sweep.name}{out}{data} --best"
    inside = sys.prefix == sys.base_prefix or "VIRTUAL_ENV" in os.environ
    return [
        "",
        "Next" if inside else f"Next, after `source {activate()}`",
        "  # more of the best cell",
        f"  {compose} --count 8",
        "  # a tune of yours goes on",
        f"  {compose} --prompt tune.mid --bars 16",
        "  # what other music would take",
        "  python sweeps/run_grid.py --grid pop909 --dry-run",
    ]


def activate() -> str:
    """The script that makes `python` this one, from here if that is shorter."""
    script = Path(sys.prefix) / "bin" / "activate"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)
