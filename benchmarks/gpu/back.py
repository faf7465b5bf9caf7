"""What comes back of a sweep: a folder that our commands read as they read the sweep's own.

Records with their curves, losses by piece, the report with what the models composed, MLflow's
database; and weights, of the smallest models first, while they fit.
"""

from __future__ import annotations

import lzma
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import torch

from benchmarks.gpu.sweep import Sweep
from benchmarks.gpu.visit import Rows, Visit
from data.store.location import Location
from sweeps.results.summary import frame
from trainers import checkpoint
from trainers.cell import Cell
from trainers.saved import newest_first

MOST_BYTES = 16e6
"""That may come back, all in all."""

RESERVED_BYTES = 6e6
"""Of them, for records and reports of rounds to come."""


def gather(visit: Visit, sweep: Sweep, reserved: float = 0) -> None:
    """Lay what there is of a sweep now below the visit's `out`.

    reserved: bytes that weights must leave, for what is still to come.
    """
    target = visit.out / sweep.name
    records = sweep.records()
    for record in records:
        for name in ("record.json", "losses.parquet"):
            keep(visit, sweep.folder / "cells" / record.cell_key / name, target / "cells")
    if finished := sweep.finished():
        target.mkdir(parents=True, exist_ok=True)
        frame(finished).to_csv(target / "runs.csv", index=False)
    for path in sorted((sweep.folder / "report").glob("*"), key=lambda path: path.stat().st_size):
        keep(visit, path, target)
    keep_database(visit)
    for record in sorted(finished, key=lambda record: record.measured["n_params"]):
        keep_weights(visit, sweep, Cell.of(record.params), room(visit) - reserved)


def room(visit: Visit) -> float:
    """Bytes that may still come back."""
    there = (path.stat().st_size for path in visit.out.rglob("*") if path.is_file())
    return MOST_BYTES - sum(there)


def keep(visit: Visit, path: Path, below: Path) -> None:
    """Copy a file, with the name of its folder, if there is room."""
    if path.is_file() and path.stat().st_size < room(visit):
        target = below / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def keep_database(visit: Visit) -> None:
    """MLflow's, compressed. Copied by SQLite, for somebody may be writing."""
    database = visit.work / "mlflow" / "mlflow.db"
    if not database.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "mlflow.db"
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        packed = lzma.compress(copy.read_bytes(), preset=3)
    path = visit.out / "mlflow.db.xz"
    path.unlink(missing_ok=True)
    if len(packed) < room(visit):
        path.write_bytes(packed)


def keep_weights(visit: Visit, sweep: Sweep, cell: Cell, room: float) -> None:
    """As a checkpoint in bf16 that composes and cannot be trained on; room: bytes it may take."""
    folder = Location.of(visit.out / sweep.name / "cells") / cell.key
    saved = newest_first(sweep.cells / cell.key)
    counts = cell.rung.counts
    if newest_first(folder) or not saved:
        return
    if 2.1 * (counts.n_params + counts.embedding) < room:
        state = checkpoint.load(saved[0], cell.key)
        weights = {name: each.to(torch.bfloat16) for name, each in state["model"].items()}
        checkpoint.save(folder, {"cell_key": cell.key, "step": state["step"], "model": weights})


def list_missing(visit: Visit, sweeps: list[Sweep]) -> None:
    """What stays there, by name."""
    rows = Rows(visit, "what came back", "sweep", "cells", "weights", "samples", "law")
    for sweep in sweeps:
        back = visit.out / sweep.name
        finished = sweep.finished()
        came = [r for r in finished if newest_first(Location.of(back / "cells") / r.cell_key)]
        stayed = {f"{r.params['arch']} {r.params['size']}" for r in finished if r not in came}
        rows.add(
            sweep=sweep.name,
            cells=len(list(back.glob("cells/*/record.json"))),
            weights=len(came),
            samples=str((back / "report" / "samples.html").exists()),
            law=str((back / "report" / "fit.json").exists()),
            note=f"weights that stay there: {', '.join(sorted(stayed)) or 'none'}",
        )
    print(f"\n{(MOST_BYTES - room(visit)) / 1e6:.1f} MB come back", flush=True)
