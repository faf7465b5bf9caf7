"""MLflow's pages show what a sweep has written, and are shut to whoever brings no token."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient

from fitting.runs.tracking import SQLITE, log_file
from harness.serving import Served
from sweeps import ui
from sweeps.tracking import database
from tests.sweeps.real_command import ROOT

API = "/api/2.0/mlflow"


def test_files_that_were_logged_through_a_server_and_those_of_today_are_both_shown(
    server: Served, tmp_path: Path
) -> None:
    client = MlflowClient(f"{SQLITE}{server.out}/mlflow/mlflow.db")
    # As the server of before made experiments.
    experiment = client.create_experiment("of before", "mlflow-artifacts:/17")
    run = client.create_run(experiment)
    old = server.out / "mlflow" / "artifacts" / "17" / run.info.run_id / "artifacts" / "old.txt"
    old.parent.mkdir(parents=True)
    old.write_text("of before")
    (tmp_path / "new.txt").write_text("of today")
    log_file(client, run, tmp_path / "new.txt")
    for name, text in (("old.txt", "of before"), ("new.txt", "of today")):
        asked = requests.get(
            f"{server.uri}/get-artifact",
            {"run_id": run.info.run_id, "path": name},
            headers={"Authorization": f"Bearer {server.token}"},
            timeout=60,
        )
        assert asked.text == text


def test_links_lead_to_the_laws_and_the_cells_of_the_newest_sweeps(tmp_path: Path) -> None:
    uri = f"{SQLITE}{tmp_path}/mlflow.db"
    database.make(uri)
    client = MlflowClient(uri)
    runs = {}
    for name in ("bare", "first", "second", "third", "fourth"):
        experiment = client.create_experiment(name)
        client.create_run(experiment, tags={"crescendo.kind": "cell"})
        if name != "bare":
            tags = {"crescendo.kind": "fit", "crescendo.loss": "val_loss"}
            runs[name] = experiment, client.create_run(experiment, tags=tags).info.run_id
    found = ui.pages(uri)
    assert list(found) == [
        f"{name}, its {what}"
        for name in ("fourth", "third", "second")
        for what in ("laws", "cells")
    ]
    experiment, run = runs["fourth"]
    assert found["fourth, its laws"] == (
        f"/experiments/{experiment}/runs/{run}/artifacts/report.html?{ui.TRAINING}"
    )
    assert found["fourth, its cells"].startswith(f"/experiments/{experiment}/runs?{ui.CHARTS}")


def test_a_browser_that_opens_the_link_is_let_in_from_then_on(server: Served) -> None:
    with requests.Session() as browser:
        page = browser.get(f"{server.uri}/", params={"token": server.token}, timeout=60)
        assert "MLflow" in page.text
        assert page.url == f"{server.uri}/"
        assert browser.get(f"{server.uri}/health", timeout=60).text == "OK"


@pytest.mark.parametrize("page", ["/", "/health", "/version", "/static-files/x", f"{API}/x"])
def test_whoever_brings_no_token_sees_nothing(server: Served, page: str) -> None:
    assert requests.get(f"{server.uri}{page}", timeout=60).status_code == 403


def test_a_stranger_makes_no_experiment_with_a_place_of_his_own(
    server: Served, tmp_path: Path
) -> None:
    wanted = {"name": "planted", "artifact_location": str(tmp_path)}
    for headers in ({}, {"Authorization": "Bearer guessed"}):
        asked = requests.post(
            f"{server.uri}{API}/experiments/create", json=wanted, headers=headers, timeout=60
        )
        assert asked.status_code == 403
    client = MlflowClient(f"{SQLITE}{server.out}/mlflow/mlflow.db")
    assert client.get_experiment_by_name("planted") is None


def test_a_port_in_use_is_passed_over_and_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with ui.listening(port) as listener:
            assert listener.getsockname()[0] == "127.0.0.1"
            assert listener.getsockname()[1] > port
        monkeypatch.setattr(ui, "PORTS", 1)
        with pytest.raises(OSError, match=f"no free port between {port} and {port}"):
            ui.listening(port)


def test_a_database_of_another_version_is_named_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "mlflow" / "mlflow.db"
    database.make(f"{SQLITE}{file}")
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("update alembic_version set version_num = 'older'")
    command = [sys.executable, "sweeps/ui.py", "--out", str(tmp_path), "--port", "5800"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ui: {file}: Detected out-of-date database schema (found version older")
    assert line.endswith("or use the MLflow that made it")


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_a_file_that_is_no_database_is_named_in_a_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mlflow" / "mlflow.db"
    file.parent.mkdir()
    file.write_bytes(content)
    command = [sys.executable, "sweeps/ui.py", "--out", str(tmp_path), "--port", "5850"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ui: {file}: ")
    assert "database" in line
