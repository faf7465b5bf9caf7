"""MLflow, from the sweep's side: one run per cell for its whole life.

Cells talk to one actor, which writes to the database or talks to the server: no cell imports MLflow
or waits for it. A write that is not known to be stored is kept and sent again.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import one_line
from data.store.location import Location
from fitting.contract import CELL_KEY, DATA, FORECAST, KIND, REASON, STATUS, SWEEP, grouped
from fitting.runs.escape import masked
from fitting.runs.tracking import SQLITE, THROUGH_SERVER, beside, log_file
from sweeps.tracking.descriptions import NOTE, of_cell, of_experiment
from sweeps.tracking.twice import milliseconds, twice
from trainers.records import Record
from trainers.version import code_version

if TYPE_CHECKING:
    from mlflow.entities import Run

    from trainers.curve import Point

CODE, CORPUS, CELLS = "crescendo.code", "crescendo.corpus", "crescendo.cells"
"""Tags of every run: the code's version, what the sweep trains on, and the folder below which each
cell has one, named by its key, with its checkpoints."""

TRAIN_LOSS = grouped("train_loss")

PASSING = (401, 403, 408, 409, 429)
"""Who is not let in, or too often, may be later. Other requests that a server calls wrong are
refused for what they are, and would be again."""
TOLD_SECONDS = 10
"""Writes that have waited for so long are told."""
SHOWN = 240
"""Characters of an answer in a line."""
REMEDIES = {
    401: "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    403: "give it a user or a token (MLFLOW_TRACKING_TOKEN) that may write there",
    404: "if the experiment or a run was deleted, restore it",
    400: "if the experiment or a run was deleted, restore it",
    429: "it allows fewer requests, which are sent again",
}
REACH = "see that it runs and can be reached"
DATABASE = "if the file is damaged, or another version's, put it aside: a new one is filled again"


class LackingError(OSError):
    """MLflow has taken what it does not have."""


def status_of(error: Exception) -> int:
    """The HTTP status of what MLflow answered; 503 if it did not, 500 for what has none."""
    if isinstance(error, OSError):
        return 503
    return getattr(error, "get_http_status_code", lambda: 500)()


def answer_of(error: Exception, uri: str) -> str:
    """What MLflow said, and what to do, in a line."""
    from sqlalchemy.exc import SQLAlchemyError

    said = one_line(error)
    said = said if len(said) <= SHOWN else f"{said[:SHOWN]}..."
    status = status_of(error)
    remedy = REMEDIES.get(status, REACH)
    # MLflow calls the request wrong, whatever the database says.
    if uri.startswith(SQLITE) and (status == 500 or isinstance(error.__cause__, SQLAlchemyError)):
        remedy = DATABASE
    return masked(f"{uri} answered: {said}; {remedy}")


def tags(corpus: str, cells: Location) -> dict[str, str]:
    """Tags of every MLflow run. A cell's run also has the data's fingerprint."""
    return {CODE: code_version(), CORPUS: corpus, CELLS: str(cells)}


class Tracker:
    """A Ray actor. Every method returns at once; a separate thread talks to MLflow."""

    def __init__(
        self, uri: str, experiment: str, tags: dict[str, str], names: dict[str, str]
    ) -> None:
        """names: the name of each cell's run, by the cell's key."""
        self.uri, self.experiment, self.tags, self.names = uri, experiment, tags, names
        self.corpus = tags.get(CORPUS, "a corpus")
        self.cells: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, str] = {}
        self.leaving = False
        self.runs: dict[str, Run] = {}
        self.known_steps: dict[str, dict[int, int]] = {}
        self.twice: dict[str, list[tuple[float, int, float]]] = {}
        self.began: dict[str, tuple[dict[str, Any], str]] = {}
        self.notes: dict[str, str] = {}
        self.stopped: list[str] = []
        self.answer = self.refused = ""
        self.failing: float | None = None
        self.todo: queue.Queue[Callable[[], None]] = queue.Queue()
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        self.todo.put(self._open)
        threading.Thread(target=self._write, daemon=True).start()

    # Called by cells and the sweep.

    def register(self, forecast: str, sha256: str, new: bool) -> None:
        """Keep the text of the sweep's forecast; if it is not new, only if none is kept yet."""
        self.todo.put(lambda: self._register(forecast, sha256, new))

    def add_best(self, key: str, name: str, note: str) -> None:
        """Expect one more cell, which is no cell of the grid; note: what it is, in words."""
        self.names[key], self.notes[key] = name, note

    def start(self, key: str, params: dict[str, Any], forecast: str) -> None:
        """forecast: sha256 of the forecast of which the cell is a target, or ""."""
        self.cells[key] = {"tokens": 0, "tokens_per_second": 0.0, "train_loss": None}
        self.began[key] = (params, forecast)
        self.todo.put(lambda: self._start(key))

    def points(self, key: str, points: list[Point]) -> None:
        if points:
            self.cells[key] = dict(points[-1])
            self.todo.put(lambda: self._points(key, points))

    def finish(self, record: Record) -> None:
        if self.cells.pop(record.cell_key, None) is not None:
            self.ended[record.cell_key] = record.status
        self.began[record.cell_key] = (record.params, record.forecast)
        self.todo.put(lambda: self._finish(record))

    def job_stopped(self, why: str) -> None:
        """A job has ended before its cells did, and by no cell's doing."""
        if why not in self.stopped:
            self.stopped.append(why)

    def stopped_jobs(self) -> list[str]:
        """The different reasons, in the order in which they came."""
        return self.stopped

    def progress(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """The last point of every running cell and the status of every ended one, by key."""
        return self.cells, self.ended

    def leave(self) -> None:
        """Let running cells save and end."""
        self.leaving = True

    def is_leaving(self) -> bool:
        return self.leaving

    def trained_twice(self) -> dict[str, list[tuple[float, int, float]]]:
        """What `twice` says of the cells that have ended, by key."""
        return self.twice

    def close(self) -> None:
        self.todo.put(self._close)

    def pending(self) -> int:
        """How many writes MLflow has not accepted yet."""
        return self.todo.unfinished_tasks

    def trouble(self) -> str:
        """What MLflow answers to writes that wait; "" if none has waited for long."""
        waits = self.failing is not None and time.monotonic() - self.failing > TOLD_SECONDS
        return f"{self.answer}. Writes wait; cells train on." if waits else ""

    def refusal(self) -> str:
        """What MLflow answered to the last write that it will never take, or to those that wait; ""
        if it has all."""
        return self.refused or (self.answer if self.pending() else "")

    # Called by the thread.

    def _write(self) -> None:
        while True:
            write, wait = self.todo.get(), 0.5
            while not self._is_done(write):
                time.sleep(wait)
                wait = min(10.0, 2 * wait)
            self.failing = None
            self.todo.task_done()

    def _is_done(self, write: Callable[[], None]) -> bool:
        """Whether MLflow has what this writes, or will never take it."""
        try:
            write()
        except Exception as error:  # Whatever it is, others wait to be written.
            self.answer = answer_of(error, self.uri)
            print(f"MLflow at {self.answer}", file=sys.stderr)
            status = status_of(error)
            # Nothing can be written without the experiment.
            if status >= 500 or status in PASSING or write == self._open:
                self.failing = self.failing or time.monotonic()
                return False
            self.refused = self.answer
        return True

    def _open(self) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException, get_error_code

        self.client = MlflowClient(self.uri)
        found = self.client.get_experiment_by_name(self.experiment)
        if found and found.lifecycle_stage == "deleted":
            said = f"the experiment {self.experiment!r} is deleted"
            raise MlflowException(said, get_error_code(404))
        # A server chooses where files go.
        place = f"{THROUGH_SERVER}{uuid.uuid4().hex}" if beside(self.uri) else None
        self.experiment_id = (
            found.experiment_id if found else self.client.create_experiment(self.experiment, place)
        )
        for tag, text in of_experiment(self.experiment, self.corpus).items():
            self.client.set_experiment_tag(self.experiment_id, tag, text)
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

    def _start(self, key: str) -> None:
        from mlflow.entities import Param

        params, forecast = self.began[key]
        kind = "best" if key in self.notes else "cell"
        run = self._run({KIND: kind, CELL_KEY: key}, name=self.names[key])
        run_id = run.info.run_id
        self.client.set_tag(run_id, DATA, params["data"])
        self.client.set_tag(run_id, STATUS, "running")
        self.client.set_tag(run_id, NOTE, of_cell(params, self.corpus, self.notes.get(key, "")))
        if forecast:
            self.client.set_tag(run_id, FORECAST, forecast)
        if not run.data.params:
            self.client.log_batch(run_id, params=[Param(k, str(v)) for k, v in params.items()])
        self.runs[key] = run
        self._look_up(key)

    def _look_up(self, key: str) -> None:
        history = self.client.get_metric_history(self.runs[key].info.run_id, TRAIN_LOSS)
        self.known_steps[key] = {metric.step: metric.timestamp for metric in history}

    def _points(self, key: str, points: list[Point]) -> None:
        """Log the points that MLflow lacks: steps retrained after an interruption are the same."""
        from mlflow.entities import Metric

        if key not in self.runs:  # Its start was refused.
            self._start(key)
        new = [point for point in points if int(point["tokens"]) not in self.known_steps[key]]
        metrics = [
            Metric(grouped(name), value, milliseconds(point), int(point["tokens"]))
            for point in new
            for name, value in point.items()
            if name not in ("tokens", "time")
        ]
        for first in range(0, len(metrics), 1000):
            self.client.log_batch(self.runs[key].info.run_id, metrics[first : first + 1000])
        self.known_steps[key] |= {int(point["tokens"]): milliseconds(point) for point in new}

    def _finish(self, record: Record) -> None:
        from mlflow.entities import Metric

        self._points(record.cell_key, record.curve)
        self.twice[record.cell_key] = twice(record.curve, self.known_steps[record.cell_key])
        run_id = self.runs[record.cell_key].info.run_id
        # With the record's own time, a later sweep that sends it again sends the same measurement.
        ended, step = int(record.ended * 1000), int(record.measured.get("tokens", 0))
        measured = record.measured.items()
        metrics = [Metric(grouped(name), value, ended, step) for name, value in measured]
        self.client.log_batch(run_id, metrics)
        self._keep(record)
        self.client.set_tag(run_id, STATUS, record.status)
        if record.reason:
            self.client.set_tag(run_id, REASON, record.reason)
        status = "FINISHED" if record.status == "finished" else "FAILED"
        self.client.set_terminated(run_id, status, ended)
        self._check(record)

    def _keep(self, record: Record) -> None:
        """Have the record itself, with its curve and the cell's shape, among the run's files."""
        run = self.runs[record.cell_key]
        if run.data.tags.get(STATUS) == record.status:
            return  # A sweep of before has seen to it.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "record.json"
            file.write_text(json.dumps(asdict(record)))
            log_file(self.client, run, file)

    def _check(self, record: Record) -> None:
        """Ask MLflow for a cell. Raises LackingError, upon which what lacks is sent again."""
        key = record.cell_key
        run = self.client.get_run(self.runs[key].info.run_id)
        self._look_up(key)
        steps = {int(point["tokens"]) for point in record.curve if "train_loss" in point}
        lacks = sorted(set(map(grouped, record.measured)) - set(run.data.metrics))
        if run.data.tags.get(STATUS) != record.status:
            lacks.append(STATUS)
        if points := len(steps - set(self.known_steps[key])):
            lacks.append(f"{points} of {len(steps)} points")
        if lacks:
            raise LackingError(f"the run of {self.names[key]} has no {', '.join(lacks)}")

    def _close(self) -> None:
        self.client.set_terminated(self.parent.info.run_id)
