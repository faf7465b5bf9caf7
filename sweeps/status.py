"""Where each cell of a sweep stands, read off its folder: no cluster, no server, no PyTorch."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from data.packed import MANIFEST, DataError
from sweeps import forecasts
from sweeps.console import console, table
from sweeps.sweep import READERS, Listed, Sweep, only
from trainers.names import varying
from trainers.records import Record
from trainers.saved import newest_step

STALE_SECONDS = 90
"""A sweep that has said nothing for so long is not running."""


@dataclass(frozen=True)
class State:
    """Of one cell."""

    cell: Listed
    status: str
    """finished, diverged, failed, running, resumable, to start."""
    detail: str = ""


def states(sweep: Sweep, cells: list[Listed]) -> list[State]:
    records = sweep.records(cell.key for cell in cells)
    running = _running(sweep)
    open_cells = [cell for cell in cells if cell.key not in records]
    with ThreadPoolExecutor(READERS) as pool:
        steps = pool.map(lambda cell: newest_step(sweep.cells / cell.key), open_cells)
    saved = {cell.key: step for cell, step in zip(open_cells, steps)}
    return [state_of(cell, records.get(cell.key), running, saved.get(cell.key)) for cell in cells]


def state_of(
    cell: Listed, record: Record | None, running: dict[str, float], saved: int | None
) -> State:
    """running: tokens seen by running cells; saved: the step of the newest checkpoint."""
    if record:
        loss = record.measured.get("val_loss")
        return State(cell, record.status, record.reason or (f"val_loss {loss:.4f}" if loss else ""))
    if cell.key in running:
        step = round(running[cell.key] / cell.fields["batch_tokens"])
        return State(cell, "running", _at(cell, step))
    if saved:
        return State(cell, "resumable", _at(cell, saved))
    return State(cell, "to start")


def _at(cell: Listed, step: int) -> str:
    return f"at step {step:,} of {cell.steps:,}"


def without_data(sweep: Sweep) -> str:
    """What can be said while the data are not prepared, on which the cells' keys depend; empty if
    they are."""
    folders = [sweep.data(tokenizer) for tokenizer in sweep.grid.data.tokenizer]
    missing = [str(folder) for folder in folders if not (folder / MANIFEST).exists()]
    if not missing:
        return ""
    there = len(sweep.cells.children())
    trained = f"{there} cells are in {sweep.cells}" if there else "no cell has begun"
    return (
        f"{sweep.name}: {trained}; the data are not prepared ({', '.join(missing)}).\n"
        "The same command without --status prepares them and goes on."
    )


def _running(sweep: Sweep) -> dict[str, float]:
    if not sweep.alive.exists():
        return {}
    said = json.loads(sweep.alive.read_text())
    return said["running"] if time.time() - said["time"] < STALE_SECONDS else {}


def show(sweep: Sweep, selection: str) -> None:
    """Print the states of the selected cells. Raises GridError, DataError."""
    to_user = console()
    try:
        cells = only(sweep.listed(), selection)
    except DataError:
        if not (unprepared := without_data(sweep)):
            raise
        to_user.print(unprepared, markup=False)
        return
    found = states(sweep, cells)
    varied = varying(cell.fields for cell in cells)
    forecast = any(cell.target for cell in cells)
    rows = table(["arch", "size", *varied, *[""] * forecast, "status", ""], [], [])
    for state in found:
        axes = [str(state.cell.fields[name]) for name in ("arch", "size", *varied)]
        mark = ["target" * state.cell.target] * forecast
        rows.add_row(*axes, *mark, state.status, state.detail)
    to_user.print(rows)
    counts = Counter(state.status for state in found)
    to_user.print(f"\n{len(found)} cells: {', '.join(f'{n} {s}' for s, n in counts.items())}")
    if forecast:
        to_user.print(forecasts.standing(sweep))
    failed, diverged = counts["failed"], counts["diverged"]
    if failed:
        to_user.print("Failed cells are tried again with --retry-failed.")
    if len(found) > counts["finished"] + failed + diverged and not counts["running"]:
        to_user.print("The sweep is not running; the same command without --status goes on.")
