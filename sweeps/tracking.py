"""MLflow, from the sweep's side: one run per cell for its whole life.

Cells talk to one actor, which writes to the database or talks to the server: no cell imports MLflow
or waits for it. Writes that cannot be taken now are kept and retried.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fitting.contract import CELL_KEY, DATA, FORECAST, KIND, REASON, STATUS, SWEEP
from fitting.runs.tracking import THROUGH_SERVER, beside, log_file
from trainers.records import Record

if TYPE_CHECKING:
    from mlflow.entities import Run

    from trainers.curve import Point

CODE = "crescendo.code"
"""A tag of every run."""


def tags() -> dict[str, str]:
    """Tags of every MLflow run: the code's version. A cell's run also has the data's
    fingerprint."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return {CODE: found.stdout.strip() or "unknown"}


class Tracker:
    """A Ray actor. Every method returns at once; a separate thread talks to MLflow."""

    def __init__(
        self, uri: str, experiment: str, tags: dict[str, str], names: dict[str, str]
    ) -> None:
        """names: the name of each cell's run, by the cell's key."""
        self.uri, self.experiment, self.tags, self.names = uri, experiment, tags, names
        self.cells: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, str] = {}
        self.leaving = False
        self.runs: dict[str, Run] = {}
        self.known_steps: dict[str, set[int]] = {}
        self.todo: queue.Queue[Callable[[], None]] = queue.Queue()
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        self.todo.put(self._open)
        threading.Thread(target=self._write, daemon=True).start()

    # Called by cells and the sweep.

    def register(self, forecast: str, sha256: str, new: bool) -> None:
        """Keep the text of the sweep's forecast; if it is not new, only if none is kept yet."""
        self.todo.put(lambda: self._register(forecast, sha256, new))

    def start(self, key: str, params: dict[str, Any], forecast: str) -> None:
        """forecast: sha256 of the forecast of which the cell is a target, or ""."""
        self.cells[key] = {"tokens": 0, "tokens_per_second": 0.0, "train_loss": None}
        self.todo.put(lambda: self._start(key, params, forecast))

    def points(self, key: str, points: list[Point]) -> None:
        if points:
            self.cells[key] = dict(points[-1])
            self.todo.put(lambda: self._points(key, points))

    def finish(self, record: Record) -> None:
        if self.cells.pop(record.cell_key, None) is not None:
            self.ended[record.cell_key] = record.status
        self.todo.put(lambda: self._finish(record))

    def progress(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """The last point of every running cell and the status of every ended one, by key."""
        return self.cells, self.ended

    def leave(self) -> None:
        """Let running cells save and end."""
        self.leaving = True

    def is_leaving(self) -> bool:
        return self.leaving

    def close(self) -> None:
        self.todo.put(self._close)

    def pending(self) -> int:
        """How many writes MLflow has not accepted yet."""
        return self.todo.unfinished_tasks

    # Called by the thread.

    def _write(self) -> None:
        from mlflow.exceptions import MlflowException

        while True:
            write, wait = self.todo.get(), 0.5
            while True:
                try:
                    write()
                    break
                except (MlflowException, OSError) as error:
                    print(f"MLflow at {self.uri}: {error}", file=sys.stderr)
                    status = getattr(error, "get_http_status_code", lambda: 500)()
                    # Who is not let in may be later. Else the request was refused for what it is,
                    # and a retry would be too.
                    if status < 500 and status not in (401, 403):
                        break
                    time.sleep(wait)
                    wait = min(10.0, 2 * wait)
            self.todo.task_done()

    def _open(self) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(self.uri)
        found = self.client.get_experiment_by_name(self.experiment)
        # A server chooses where files go.
        place = f"{THROUGH_SERVER}{uuid.uuid4().hex}" if beside(self.uri) else None
        self.experiment_id = (
            found.experiment_id if found else self.client.create_experiment(self.experiment, place)
        )
        self.parent = self._run({KIND: "sweep"}, name=f"sweep {self.experiment}")

    def _run(self, identity: dict[str, str], name: str) -> Run:
        """The run with these tags: created if there is none, set to running if it had ended."""
        wanted = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in identity.items())
        found = self.client.search_runs([self.experiment_id], wanted, max_results=1)
        if not found:
            tags = identity | self.tags
            if hasattr(self, "parent"):
                # Not MLflow's own parent tag: its pages and charts hide runs that have a parent.
                tags[SWEEP] = self.parent.info.run_id
            return self.client.create_run(self.experiment_id, run_name=name, tags=tags)
        # In a grid that has grown, the same cell may have another name.
        self.client.update_run(found[0].info.run_id, status="RUNNING", name=name)
        return found[0]

    def _register(self, forecast: str, sha256: str, new: bool) -> None:
        run_id = self.parent.info.run_id
        if new or FORECAST not in self.parent.data.tags:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "forecast.json"
                file.write_text(forecast)
                log_file(self.client, self.parent, file)
            self.client.set_tag(run_id, FORECAST, sha256)

    def _start(self, key: str, params: dict[str, Any], forecast: str) -> None:
        from mlflow.entities import Param

        run = self._run({KIND: "cell", CELL_KEY: key}, name=self.names[key])
        run_id = run.info.run_id
        self.client.set_tag(run_id, DATA, params["data"])
        self.client.set_tag(run_id, STATUS, "running")
        if forecast:
            self.client.set_tag(run_id, FORECAST, forecast)
        if not run.data.params:
            self.client.log_batch(run_id, params=[Param(k, str(v)) for k, v in params.items()])
        history = self.client.get_metric_history(run_id, "train_loss")
        self.known_steps[key] = {metric.step for metric in history}
        self.runs[key] = run

    def _points(self, key: str, points: list[Point]) -> None:
        """Log the points that MLflow lacks: steps retrained after an interruption are the same."""
        from mlflow.entities import Metric

        new = [point for point in points if int(point["tokens"]) not in self.known_steps[key]]
        metrics = [
            Metric(name, value, int(point["time"] * 1000), int(point["tokens"]))
            for point in new
            for name, value in point.items()
            if name not in ("tokens", "time")
        ]
        for first in range(0, len(metrics), 1000):
            self.client.log_batch(self.runs[key].info.run_id, metrics[first : first + 1000])
        self.known_steps[key] |= {int(point["tokens"]) for point in new}

    def _finish(self, record: Record) -> None:
        from mlflow.entities import Metric

        if record.cell_key not in self.runs:
            self._start(record.cell_key, record.params, record.forecast)
        self._points(record.cell_key, record.curve)
        run_id = self.runs[record.cell_key].info.run_id
        # With the record's own time, a later sweep that sends it again sends the same measurement.
        ended, step = int(record.ended * 1000), int(record.measured.get("tokens", 0))
        metrics = [Metric(name, value, ended, step) for name, value in record.measured.items()]
        self.client.log_batch(run_id, metrics)
        self.client.set_tag(run_id, STATUS, record.status)
        self.client.set_tag(run_id, REASON, record.reason)
        status = "FINISHED" if record.status == "finished" else "FAILED"
        self.client.set_terminated(run_id, status, ended)

    def _close(self) -> None:
        self.client.set_terminated(self.parent.info.run_id)
