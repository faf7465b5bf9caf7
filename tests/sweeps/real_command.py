"""The real command on a small data set, and what it leaves behind."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from tests.processes import descendants
from tests.waiting import PATIENCE_SECONDS, wait_until
from trainers.saved import TRUNK

ROOT = Path(__file__).parents[2]
GRID = """\
data:
  source: {source}
cells:
  arch: {archs}
  size: {sizes}
  tokens: {tokens}
  seed: {seeds}
training:
  batch_tokens: 512
  context: 64
  schedule: {schedule}
placement:
  checkpoint_seconds: {every}
"""


def write_grid(
    folder: Path,
    source: Path,
    *,
    name: str = "small",
    archs: str = "[transformer, lstm]",
    sizes: str = "[4k, 6k]",
    tokens: str = "60k",
    seeds: str = "0",
    schedule: str = "cosine",
    every: float = 0,
    more: str = "",
) -> Path:
    """more: YAML to stand below the rest."""
    path = folder / f"{name}.yaml"
    text = GRID.format(
        source=source,
        archs=archs,
        sizes=sizes,
        tokens=tokens,
        seeds=seeds,
        schedule=schedule,
        every=every,
    )
    path.write_text(text + more)
    return path


def command(grid: Path | str, out: Path, *more: str) -> list[str]:
    return [sys.executable, "sweeps/run_grid.py", "--grid", str(grid), "--out", str(out), *more]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return kept | more


def run(
    grid: Path | str, out: Path, *more: str, before: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """The command to its end, after a shell has done something `before`."""
    return subprocess.run(
        ["sh", "-c", f'{before}\nexec "$@"', "sh", *command(grid, out, *more)],
        cwd=ROOT,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


class Running:
    """A sweep under way, in a process of its own."""

    def __init__(self, grid: Path, out: Path, log: Path, **env: str) -> None:
        self.cells, self.log = out / grid.stem / "cells", log
        with log.open("a") as file:
            self.process = subprocess.Popen(
                command(grid, out), cwd=ROOT, env=environment(**env), stdout=file, stderr=file
            )

    def wait_for(self, what: Callable[[], Any]) -> Any:
        """What it returns once that is something; fails if the sweep ends before."""

        def seen() -> Any:
            found = what()
            assert found or self.process.poll() is None, self.log.read_text()
            return found

        return wait_until(seen)

    def saved(self) -> set[str]:
        """The cells that have a checkpoint and no record."""
        found = {path.parents[1].name for path in self.cells.glob("*/checkpoint_*/state.sha256")}
        ended = {path.parent.name for path in self.cells.glob("*/record.json")}
        return {name for name in found - ended if TRUNK not in name}

    def measured(self) -> int:
        """How many values MLflow has."""
        database = self.cells.parents[1] / "mlflow" / "mlflow.db"
        try:
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
                return db.execute("select count(*) from metrics").fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # It is being made.

    def wait_for_progress(self) -> None:
        """Until MLflow has more values than now."""
        before = self.measured()
        self.wait_for(lambda: self.measured() > before)

    def processes(self, name: str) -> list[int]:
        """The pids of those of its Ray processes whose title starts so."""
        return descendants(self.process.pid, name)

    def end(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def running(grid: Path, out: Path, log: Path, **env: str) -> Iterator[Running]:
    sweep = Running(grid, out, log, **env)
    try:
        yield sweep
    finally:
        if sweep.process.poll() is None:
            sweep.process.kill()
            sweep.process.wait()


def written(out: Path) -> dict[Path, int]:
    """When each file was, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def records(out: Path, grid: str = "*") -> dict[str, dict]:
    paths = out.glob(f"{grid}/cells/*/record.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def losses(out: Path, grid: str = "*") -> dict[str, float]:
    return {key: record["measured"]["val_loss"] for key, record in records(out, grid).items()}


def cell_runs(out: Path, experiment: str) -> list:
    client = MlflowClient(f"sqlite:///{out}/mlflow/mlflow.db")
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client.search_runs([found.experiment_id], "tags.`crescendo.kind` = 'cell'")


def assert_tracked_once(out: Path, experiment: str) -> None:
    """MLflow has one run for each record, with every step of its curve and none twice."""
    ended, runs = records(out, experiment), cell_runs(out, experiment)
    assert Counter(run.data.tags["crescendo.cell_key"] for run in runs) == Counter(list(ended))
    client = MlflowClient(f"sqlite:///{out}/mlflow/mlflow.db")
    for each in runs:
        record = ended[each.data.tags["crescendo.cell_key"]]
        history = client.get_metric_history(each.info.run_id, "train/train_loss")
        assert sorted(m.step for m in history) == [point["tokens"] for point in record["curve"]]
        assert each.data.tags["crescendo.status"] == record["status"]
