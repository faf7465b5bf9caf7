"""The real command, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data import folk
from fitting.records import read_mlflow

ROOT = Path(__file__).parents[2]
GRID = """\
data:
  source: {source}
cells:
  arch: [transformer, lstm]
  size: [4k, 6k]
  tokens: {tokens}
training:
  batch_tokens: 512
  context: 64
placement:
  checkpoint_seconds: 0
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of MIDI files: a few hundred of the folk tunes."""
    folder = tmp_path_factory.mktemp("midi")
    for index, (_, tune) in enumerate(folk.tunes()[2000:2300]):
        made = folk.to_midi(tune)
        assert isinstance(made, bytes)
        (folder / f"{index:03d}.mid").write_bytes(made)
    return folder


def command(grid: Path | str, out: Path, *more: str) -> list[str]:
    return [sys.executable, "sweeps/run_grid.py", "--grid", str(grid), "--out", str(out), *more]


def run(grid: Path | str, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return subprocess.run(
        command(grid, out, *more), cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def records(out: Path) -> dict[str, dict]:
    paths = out.glob("*/cells/*/record.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def cell_runs(out: Path, experiment: str) -> list:
    client = MlflowClient(f"sqlite:///{out}/mlflow/mlflow.db")
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client.search_runs([found.experiment_id], "tags.`crescendo.kind` = 'cell'")


@pytest.mark.slow
def test_a_sweep_ends_with_laws_a_report_and_one_run_a_cell(source: Path, tmp_path: Path) -> None:
    grid = tmp_path / "small.yaml"
    grid.write_text(GRID.format(source=source, tokens="60k"))
    out = tmp_path / "runs"
    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "transformer  " in done.stdout
    assert "lstm  " in done.stdout
    assert "supported" in done.stdout
    assert (out / "small" / "report" / "report.html").stat().st_size > 1000
    assert {record["status"] for record in records(out).values()} == {"finished"}
    # Ray and MLflow kept quiet: nothing but our own lines.
    assert not [line for line in done.stdout.splitlines() if "INFO" in line or "raylet" in line]

    rows = read_mlflow("small", f"sqlite:///{out}/mlflow/mlflow.db")
    assert sorted(rows["cell_key"]) == sorted(records(out))
    assert (rows["val_loss"] > 0).all()
    for finished in cell_runs(out, "small"):
        assert finished.info.status == "FINISHED"
        assert {"train_loss", "learning_rate", "tokens_per_second", "memory_mb"} <= set(
            finished.data.metrics
        )

    before = {path: path.stat().st_mtime for path in out.rglob("record.json")}
    started = time.monotonic()
    again = run(grid, out)
    assert again.returncode == 0
    assert "Nothing to do: all 4 cells" in again.stdout
    assert time.monotonic() - started < 30
    assert {path: path.stat().st_mtime for path in out.rglob("record.json")} == before


@pytest.mark.slow
def test_a_killed_sweep_goes_on_from_its_checkpoints(source: Path, tmp_path: Path) -> None:
    grid = tmp_path / "killed.yaml"
    grid.write_text(GRID.format(source=source, tokens="400k"))
    out = tmp_path / "runs"
    with (tmp_path / "log").open("w") as log:
        sweep = subprocess.Popen(
            command(grid, out), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    cells = out / "killed" / "cells"

    def interrupted() -> set[str]:
        """Cells with a checkpoint and no record."""
        saved = {path.parents[1].name for path in cells.glob("*/checkpoint_*/state.sha256")}
        return saved - set(records(out))

    until = time.monotonic() + 400
    while not (records(out) and interrupted()):
        assert sweep.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < until, "no cell was both finished and another under way"
        time.sleep(0.1)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    killed, finished, under_way = time.time(), records(out), interrupted()
    assert finished

    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    after = records(out)
    assert len(after) == 4
    assert {key: after[key] for key in finished} == finished
    for key in under_way - set(finished):
        # Points from before the kill are part of the curve: the cell did not start anew.
        assert after[key]["curve"][0]["time"] < killed < after[key]["ended"]
    runs = cell_runs(out, "killed")
    assert Counter(run.data.tags["crescendo.cell_key"] for run in runs) == Counter(list(after))
    client = MlflowClient(f"sqlite:///{out}/mlflow/mlflow.db")
    for each in runs:
        steps = [
            metric.step for metric in client.get_metric_history(each.info.run_id, "train_loss")
        ]
        curve = after[each.data.tags["crescendo.cell_key"]]["curve"]
        assert steps == [point["tokens"] for point in curve]


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(source: Path, tmp_path: Path) -> None:
    grid = tmp_path / "stopped.yaml"
    grid.write_text(GRID.format(source=source, tokens="4M"))
    sweep = subprocess.Popen(
        command(grid, tmp_path / "runs"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert sweep.stdout is not None
    for line in sweep.stdout:
        if "% loss" in line:
            break
    sweep.send_signal(signal.SIGINT)
    _, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 130, errors
    assert "the same command goes on" in errors


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_an_unknown_grid_is_refused(tmp_path: Path) -> None:
    assert "did you mean 'quickstart'" in one_line(run("quikstart", tmp_path))


def test_a_mistake_in_a_grid_is_named_with_its_line(tmp_path: Path) -> None:
    grid = tmp_path / "wrong.yaml"
    grid.write_text(GRID.format(source="folk", tokens="60k").replace("context", "contxt"))
    assert "wrong.yaml:9: unknown key 'contxt'" in one_line(run(grid, tmp_path))


@pytest.mark.slow
def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    grid = tmp_path / "empty.yaml"
    grid.write_text(GRID.format(source=tmp_path / "empty", tokens="60k"))
    assert "is empty" in one_line(run(grid, tmp_path / "runs"))
