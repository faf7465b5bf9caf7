"""MLflow holds one run a cell and one value a step, whatever is said twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, get_error_code

from fitting.runs.read import read_mlflow
from fitting.runs.tracking import SQLITE
from harness.serving import Served, served
from sweeps.tracking import database
from sweeps.tracking import tracker as tracking
from sweeps.tracking.tracker import Tracker
from sweeps.ui import listening
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


@dataclass(frozen=True)
class Store:
    uri: str
    out: Path
    """The sweeps' folder, whose database it is."""


@pytest.fixture(scope="module", params=["database", "server"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    if request.param == "database":
        out = tmp_path_factory.mktemp("runs")
        uri = f"{SQLITE}{out}/mlflow/mlflow.db"
        database.make(uri)
        yield Store(uri, out)
        return
    server: Served = request.getfixturevalue("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_TOKEN", server.token)
        yield Store(server.uri, server.out)


def drain(tracker: Tracker) -> None:
    wait_until(lambda: not tracker.pending())


def cells(uri: str, experiment: str) -> list:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client.search_runs([found.experiment_id], "tags.`crescendo.kind` = 'cell'")


def test_a_cell_that_is_resumed_has_one_run_and_each_step_once(store: Store) -> None:
    record = replace(RECORD, curve=CURVE, measured=MEASURED)
    first = Tracker(store.uri, "resumed", {}, NAMES)
    first.start(CELL.key, CELL.params(), "")
    first.points(CELL.key, CURVE[:3])
    drain(first)
    # The sweep is killed; the next one trains from the second point again, a little faster.
    second = Tracker(store.uri, "resumed", {}, NAMES)
    second.start(CELL.key, CELL.params(), "")
    second.points(CELL.key, CURVE[:2])
    second.points(CELL.key, [CURVE[2] | {"tokens_per_second": 2e4, "time": 1.8e9}])
    second.points(CELL.key, CURVE[3:])
    second.finish(record)
    drain(second)
    # And a third finds it ended.
    third = Tracker(store.uri, "resumed", {}, NAMES)
    third.finish(record)
    drain(third)
    (run,) = cells(store.uri, "resumed")
    client = MlflowClient(store.uri)
    history = client.get_metric_history(run.info.run_id, "system/tokens_per_second")
    assert [metric.step for metric in history] == [256, 512, 768, 1024, 1280]
    assert len(client.get_metric_history(run.info.run_id, "val/val_loss")) == 1
    assert run.info.end_time == int(record.ended * 1000)
    assert run.info.status == "FINISHED"
    assert run.data.params["size"] == "4k"
    assert run.info.run_name == NAMES[CELL.key]


def test_two_sweeps_that_write_at_once_into_one_store_lose_nothing(store: Store) -> None:
    record = replace(RECORD, curve=CURVE, measured=MEASURED)
    sweeps = [Tracker(store.uri, f"beside-{number}", {}, NAMES) for number in range(2)]
    for key in NAMES:
        for tracker in sweeps:
            tracker.start(key, CELL.params(), "")
        for point in CURVE:
            for tracker in sweeps:
                tracker.points(key, [point])
        for tracker in sweeps:
            tracker.finish(replace(record, cell_key=key))
    for tracker in sweeps:
        drain(tracker)
        assert not tracker.refusal()
    for number in range(2):
        runs = cells(store.uri, f"beside-{number}")
        assert sorted(run.info.run_name for run in runs) == sorted(NAMES.values())
        for run in runs:
            steps = MlflowClient(store.uri).get_metric_history(run.info.run_id, "train/train_loss")
            assert [metric.step for metric in steps] == [256, 512, 768, 1024, 1280]


def test_the_best_that_is_trained_on_is_no_cell_of_the_experiment(store: Store) -> None:
    tracker = Tracker(store.uri, "longer", {}, {CELL.key: "lstm-4k-seed0"})
    tracker.add_best("longer", "lstm-4k-seed0-best", "best, 3 epochs")
    for key in (CELL.key, "longer"):
        tracker.finish(replace(RECORD, cell_key=key, curve=CURVE, measured=MEASURED))
    drain(tracker)
    assert [run.info.run_name for run in cells(store.uri, "longer")] == ["lstm-4k-seed0"]
    client = MlflowClient(store.uri)
    experiment = client.get_experiment_by_name("longer")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`crescendo.kind` = 'best'")
    assert run.info.run_name == "lstm-4k-seed0-best"
    assert run.data.tags["mlflow.note.content"].startswith("Best, 3 epochs, in no law: lstm of 4k")


def test_a_forecast_is_kept_with_the_sweep_and_named_by_its_targets(store: Store) -> None:
    first = Tracker(store.uri, "told", {}, NAMES)
    first.register("the text", "aaa", True)
    first.finish(replace(RECORD, curve=CURVE, measured=MEASURED, forecast="aaa"))
    first.finish(Record("other", "diverged", "it blew up", CELL.params(), {}, [], 1.0, 2.0))
    drain(first)
    # A later sweep finds another text in the file: what was kept first stays.
    second = Tracker(store.uri, "told", {}, NAMES)
    second.register("another text", "bbb", False)
    drain(second)
    found = {run.data.tags["crescendo.cell_key"]: run.data.tags for run in cells(store.uri, "told")}
    assert found[CELL.key]["crescendo.forecast"] == "aaa"
    assert "crescendo.forecast" not in found["other"]
    client, run = MlflowClient(store.uri), second.parent
    assert client.get_run(run.info.run_id).data.tags["crescendo.forecast"] == "aaa"
    kept = [path.read_text() for path in store.out.rglob("mlflow/artifacts/**/forecast.json")]
    assert kept == ["the text"]


def test_a_run_says_what_it_is_and_keeps_its_record(store: Store) -> None:
    record = replace(RECORD, curve=CURVE, measured=MEASURED)
    for _ in range(2):  # The second sweep finds it ended.
        tracker = Tracker(store.uri, "said", {"crescendo.corpus": "folk as abc"}, NAMES)
        tracker.finish(record)
        drain(tracker)
    (run,) = cells(store.uri, "said")
    told = run.data.tags["mlflow.note.content"]
    assert told.startswith("lstm of 4k parameters, ")
    assert "tokens of folk as abc, seed 0" in told
    assert all(run.data.tags.values()), run.data.tags
    assert {name.partition("/")[0] for name in run.data.metrics} == {
        "model", "system", "train", "val",
    }  # fmt: skip
    kept = [path for path in store.out.rglob("record.json") if run.info.run_id in str(path)]
    assert [json.loads(path.read_text())["curve"] for path in kept] == [CURVE]
    experiment = MlflowClient(store.uri).get_experiment_by_name("said")
    assert experiment
    assert "nats per token" in experiment.tags["mlflow.note.content"]


def test_fitting_reads_what_was_tracked(store: Store) -> None:
    tracker = Tracker(store.uri, "read", {}, NAMES)
    tracker.finish(replace(RECORD, curve=CURVE, measured=MEASURED))
    tracker.finish(Record("other", "diverged", "it blew up", CELL.params(), {}, [], 1.0, 2.0))
    drain(tracker)
    rows = read_mlflow("read", store.uri).set_index("cell_key")
    assert rows.loc[CELL.key, "val_loss"] == 0.6
    assert rows.loc["other", "status"] == "diverged"
    assert rows.loc["other", "reason"] == "it blew up"


def test_a_server_that_is_away_and_then_does_not_let_us_in_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(5700) as listener:
        port = listener.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    tracker = Tracker(uri, "away", {}, NAMES)
    tracker.finish(replace(RECORD, curve=CURVE, measured=MEASURED))
    assert tracker.pending() == 2
    with served(tmp_path, port) as server:
        assert server.uri == uri
        with pytest.raises(MlflowException, match="403"):
            MlflowClient(uri).search_experiments()
        assert tracker.pending() == 2
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", server.token)
        drain(tracker)
        assert len(cells(uri, "away")) == 1


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = f"{SQLITE}{tmp_path_factory.mktemp('runs')}/mlflow/mlflow.db"
    database.make(found)
    return found


def test_a_write_that_is_taken_and_not_kept_is_sent_again(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_batch, taken = MlflowClient.log_batch, []

    def careless(client: MlflowClient, run_id: str, *rest: Any, **more: Any) -> None:
        taken.append(run_id)
        if len(taken) != 2:  # The points: "200 OK", and forgotten.
            log_batch(client, run_id, *rest, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", careless)
    tracker = Tracker(uri, "kept", {}, NAMES)
    tracker.finish(replace(RECORD, curve=CURVE, measured=MEASURED))
    drain(tracker)
    assert not tracker.refusal()
    (run,) = cells(uri, "kept")
    history = MlflowClient(uri).get_metric_history(run.info.run_id, "train/train_loss")
    assert [metric.step for metric in history] == [256, 512, 768, 1024, 1280]


@pytest.mark.parametrize(
    ("status", "said", "waits"),
    [
        (401, "set MLFLOW_TRACKING_TOKEN", True),
        (403, "that may write there", True),
        (429, "allows fewer requests", True),
        (503, "see that it runs", True),
        (400, "if the experiment or a run was deleted, restore it", False),
    ],
)
def test_the_answer_of_a_server_is_told_with_what_to_do(
    uri: str, monkeypatch: pytest.MonkeyPatch, status: int, said: str, waits: bool
) -> None:
    open_again = [False]
    log_batch = MlflowClient.log_batch

    def shut(client: MlflowClient, run_id: str, *rest: Any, **more: Any) -> None:
        if not open_again[0]:
            raise MlflowException("API request\nfailed", get_error_code(status))
        log_batch(client, run_id, *rest, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", shut)
    monkeypatch.setattr(tracking, "TOLD_SECONDS", 0)
    tracker = Tracker(uri, f"shut {status}", {}, NAMES)
    tracker.finish(replace(RECORD, curve=CURVE, measured=MEASURED))
    wait_until(tracker.refusal)
    assert tracker.refusal().startswith(f"{uri} answered: API request failed; ")
    assert said in tracker.refusal()
    if not waits:
        drain(tracker)
        assert tracker.refusal()
        return
    wait_until(tracker.trouble)
    assert "cells train on" in tracker.trouble()
    assert tracker.pending() == 1
    open_again[0] = True
    drain(tracker)
    assert not tracker.trouble()
    assert not tracker.refusal()


def test_a_deleted_experiment_is_named(uri: str) -> None:
    client = MlflowClient(uri)
    client.delete_experiment(client.create_experiment("gone"))
    tracker = Tracker(uri, "gone", {}, NAMES)
    wait_until(tracker.refusal)
    assert "the experiment 'gone' is deleted; if the experiment" in tracker.refusal()
    assert tracker.pending()


def test_a_file_that_is_no_database_is_to_be_put_aside() -> None:
    said = tracking.answer_of(ValueError("file is not a database"), "sqlite:////runs/mlflow.db")
    assert "answered: file is not a database; if the file is damaged" in said


def test_a_database_that_is_written_over_meanwhile_is_to_be_put_aside(tmp_path: Path) -> None:
    file = tmp_path / "mlflow" / "mlflow.db"
    database.make(f"{SQLITE}{file}")
    tracker = Tracker(f"{SQLITE}{file}", "damaged", {}, NAMES)
    drain(tracker)
    file.write_bytes(b"no database" * 1000)
    tracker.finish(replace(RECORD, curve=CURVE, measured=MEASURED))
    wait_until(tracker.refusal)
    assert "; if the file is damaged, or another version's, put it aside" in tracker.refusal()


def test_no_password_is_in_an_answer() -> None:
    said = tracking.answer_of(ValueError("at http://me:secret@host"), "http://me:secret@host:5000")
    assert "secret" not in said
    assert said.startswith("http://***@host:5000 answered: at http://***@host;")
