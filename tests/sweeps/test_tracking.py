"""MLflow holds one run a cell and one value a step, whatever is said twice."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from fitting.runs.read import read_mlflow
from sweeps.server import Server, free_port
from sweeps.tracking import Tracker
from tests.sweeps.real_command import ROOT
from tests.sweeps.test_records import CELL, RECORD
from tests.waiting import wait_until
from trainers.records import Record

CURVE = [
    {
        "tokens": 256.0 * step,
        "train_loss": 3.0 / step,
        "learning_rate": 0.01,
        "tokens_per_second": 1e4,
        "memory_mb": 100.0,
        "time": 1.7e9 + step,
    }
    for step in range(1, 6)
]
NAMES = {CELL.key: "lstm-4k-lr0.01-seed0", "other": "lstm-4k-lr0.02-seed0"}
MEASURED = {"n_params": 4000.0, "val_loss": 0.6, "tokens": 1280.0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server.start(tmp_path_factory.mktemp("mlflow"), free_port(5600))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def drain(tracker: Tracker) -> None:
    wait_until(lambda: not tracker.pending())


def cells(server: Server, experiment: str) -> list:
    client = MlflowClient(server.uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client.search_runs([found.experiment_id], "tags.`crescendo.kind` = 'cell'")


def test_a_cell_that_is_resumed_has_one_run_and_each_step_once(server: Server) -> None:
    record = replace(RECORD, curve=CURVE, measured=MEASURED)
    first = Tracker(server.uri, "resumed", {}, NAMES)
    first.start(CELL.key, CELL.params(), "")
    first.points(CELL.key, CURVE[:3])
    drain(first)
    # The sweep is killed; the next one trains from the second point again, a little faster.
    second = Tracker(server.uri, "resumed", {}, NAMES)
    second.start(CELL.key, CELL.params(), "")
    second.points(CELL.key, CURVE[:2])
    second.points(CELL.key, [CURVE[2] | {"tokens_per_second": 2e4, "time": 1.8e9}])
    second.points(CELL.key, CURVE[3:])
    second.finish(record)
    drain(second)
    # And a third finds it ended.
    third = Tracker(server.uri, "resumed", {}, NAMES)
    third.finish(record)
    drain(third)
    (run,) = cells(server, "resumed")
    client = MlflowClient(server.uri)
    history = client.get_metric_history(run.info.run_id, "tokens_per_second")
    assert [metric.step for metric in history] == [256, 512, 768, 1024, 1280]
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == 1
    assert run.info.end_time == int(record.ended * 1000)
    assert run.info.status == "FINISHED"
    assert run.data.params["size"] == "4k"
    assert run.info.run_name == NAMES[CELL.key]


def test_a_forecast_is_kept_with_the_sweep_and_named_by_its_targets(server: Server) -> None:
    first = Tracker(server.uri, "told", {}, NAMES)
    first.register("the text", "aaa", True)
    first.finish(replace(RECORD, curve=CURVE, measured=MEASURED, forecast="aaa"))
    first.finish(Record("other", "diverged", "it blew up", CELL.params(), {}, [], 1.0, 2.0))
    drain(first)
    # A later sweep finds another text in the file: what was kept first stays.
    second = Tracker(server.uri, "told", {}, NAMES)
    second.register("another text", "bbb", False)
    drain(second)
    found = {run.data.tags["crescendo.cell_key"]: run.data.tags for run in cells(server, "told")}
    assert found[CELL.key]["crescendo.forecast"] == "aaa"
    assert "crescendo.forecast" not in found["other"]
    client, run = MlflowClient(server.uri), second.parent
    assert client.get_run(run.info.run_id).data.tags["crescendo.forecast"] == "aaa"
    kept = [path.read_text() for path in server.log.parent.rglob("forecast.json")]
    assert kept == ["the text"]


def test_fitting_reads_what_was_tracked(server: Server) -> None:
    tracker = Tracker(server.uri, "read", {}, NAMES)
    tracker.finish(replace(RECORD, curve=CURVE, measured=MEASURED))
    tracker.finish(Record("other", "diverged", "it blew up", CELL.params(), {}, [], 1.0, 2.0))
    drain(tracker)
    rows = read_mlflow("read", server.uri).set_index("cell_key")
    assert rows.loc[CELL.key, "val_loss"] == 0.6
    assert rows.loc["other", "status"] == "diverged"
    assert rows.loc["other", "reason"] == "it blew up"


def test_a_server_that_is_away_loses_nothing(tmp_path: Path) -> None:
    port = free_port(5700)
    tracker = Tracker(f"http://127.0.0.1:{port}", "away", {}, NAMES)
    tracker.finish(replace(RECORD, curve=CURVE, measured=MEASURED))
    assert tracker.pending() == 2
    server = Server.start(tmp_path, port)
    try:
        server.wait()
        drain(tracker)
        assert len(cells(server, "away")) == 1
    finally:
        server.stop()


def test_a_port_in_use_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        assert free_port(taken) > taken


def test_a_server_whose_owner_lives_is_joined_and_left_running(server: Server) -> None:
    folder = server.log.parent
    again = Server.start(folder)
    assert again.uri == server.uri
    assert again.pid is None


def test_servers_that_start_at_once_have_a_port_each(tmp_path: Path) -> None:
    """Each in a process of its own, as sweeps are: one would take the other's for its own."""
    script = "import sys; from pathlib import Path; from sweeps.server import Server;"
    script += "s = Server.start(Path(sys.argv[1]), 5900); s.wait(); print(s.uri, flush=True);"
    script += "sys.stdin.read(); s.stop()"  # Both live until both have a port.
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name in ("one", "other")
    ]
    try:
        uris = {each.stdout.readline() for each in started if each.stdout}
    finally:
        for each in started:
            each.communicate()
    assert len(uris) == 2
    assert all(uri.startswith("http://127.0.0.1:59") for uri in uris)


def test_a_server_whose_owner_was_killed_is_adopted(server: Server) -> None:
    address = server.log.parent / "server.json"
    written = json.loads(address.read_text())
    assert written["owner"] == os.getpid()
    address.write_text(json.dumps(written | {"owner": 2**22 + 1}))
    assert Server.start(server.log.parent).pid == server.pid
    address.write_text(json.dumps(written))
