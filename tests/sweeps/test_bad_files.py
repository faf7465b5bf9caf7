"""A file of a sweep that is not what it should be is named in one line, and costs nothing else."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from data.store.location import Location
from sweeps import run_grid
from sweeps.sweep import Sweep
from tests.sweeps.conftest import ended
from trainers.records import record_path, write_record
from trainers.samples.cells import finished

Damage = Callable[[Path], object]


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "a list": lambda path: path.write_text("[]"),
    "no field": lambda path: path.write_text("{}"),
    "a field more": lambda path: path.write_text('{"x": 1, ' + path.read_text()[1:]),
    "binary": lambda path: path.write_bytes(b"\x00\xff\x1b[31m"),
    "newer": lambda path: path.write_text('{"schema": 99}'),
    "a folder": into_a_folder,
}


def run(monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr("sys.argv", [*sys.argv, *more])
    return run_grid.main()


def path_of(place: Location) -> Path:
    assert place.local
    return place.local


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_status_goes_on_without_a_record_and_names_it(
    sweep: Sweep, damage: Damage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = path_of(record_path(sweep.cells, sweep.listed()[0].key))
    damage(path)
    assert run(monkeypatch, "--status") == 0
    said = capfd.readouterr().out
    assert "3 cells: 1 unreadable, 2 finished" in said
    (line,) = [line for line in said.splitlines() if str(path) in line]
    assert line.startswith(f"lstm-9k-seed0: {path}: found ")
    assert "\x1b" not in said


def test_the_end_of_a_sweep_goes_on_without_a_record_and_names_it(
    sweep: Sweep, capfd: pytest.CaptureFixture[str]
) -> None:
    path = path_of(record_path(sweep.cells, sweep.listed()[0].key))
    path.write_text("{}")
    assert run_grid.conclude(sweep, sweep.listed()) == 1
    said = capfd.readouterr().out
    assert f"Left out of the laws: lstm-9k-seed0: {path}: found no cell_key; remove it" in said
    assert len(re.findall(r"^lstm +[46]k ", said, re.M)) == 2


def test_models_compose_without_a_record_and_name_it(
    sweep: Sweep, capfd: pytest.CaptureFixture[str]
) -> None:
    path = path_of(record_path(sweep.cells, sweep.listed()[0].key))
    path.write_text('{"schema": 3}')
    assert [one.cell.size for one in finished(sweep.cells)] == ["4k", "6k"]
    assert capfd.readouterr().err.startswith(f"{path}: found schema 3, expected at most 2; a newer")


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", ["cells.json", "tracked.txt", "alive.json"])
def test_a_file_that_is_made_again_is_named(
    sweep: Sweep,
    name: str,
    damage: Damage,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = path_of(sweep.folder / name)
    if name == "alive.json":
        path.write_text(json.dumps({"time": time.time(), "running": {}, "jobs": []}))
    damage(path)
    if name == "tracked.txt":
        assert sweep.tracked_cells() == set()
    else:
        # A folder cannot be written over: that, too, is a line.
        assert run(monkeypatch, "--status") == int(name == "cells.json" and path.is_dir())
    said = capfd.readouterr()
    (line,) = [line for line in said.out.splitlines() if line.startswith(f"{path}: found")]
    assert line.endswith(("; it is made again", "; the sweep counts as not running", "folder"))
    assert "Traceback" not in said.err
    if not path.is_dir() and name == "cells.json":
        assert len(sweep.listed()) == 3


def test_a_sweep_that_reports_from_the_future_is_not_running(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    key = sweep.listed()[0].key
    record_path(sweep.cells, key).delete()
    said = {"time": time.time() + 86_400, "running": {key: 512.0}, "jobs": [[key]]}
    sweep.alive.write_text(json.dumps(said))
    assert run(monkeypatch, "--status") == 0
    shown = capfd.readouterr().out
    assert "alive.json: found a time 24.0 h ahead of this clock" in shown
    assert "1 to start" in shown


def test_a_list_of_cells_leads_to_no_other_folder(
    sweep: Sweep, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = path_of(sweep.folder / "cells.json")
    kept = json.loads(path.read_text())
    kept["cells"][0]["key"] = "../../../elsewhere"
    path.write_text(json.dumps(kept))
    assert all("/" not in cell.key for cell in sweep.listed())
    assert "found cells.0.key '../../../elsewhere', expected" in capfd.readouterr().out


def test_reasons_are_text_and_no_markup(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for cell, reason in zip(sweep.resolve(), ("[rank0]: lost", "[/mnt/x] is full", "\x1b[31mred")):
        failed = replace(ended(cell), status="failed", reason=reason, measured={})
        write_record(sweep.cells, failed)
    assert run(monkeypatch, "--status") == 0
    assert run_grid.conclude(sweep, sweep.listed()) == 1
    said = capfd.readouterr().out
    for shown in ("[rank0]: lost", "[/mnt/x] is full", r"\x1b[31mred"):
        assert said.count(shown) == 2
    assert "\x1b" not in said


def test_a_long_reason_leaves_the_names_their_room(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cell = sweep.resolve()[0]
    reason = "RuntimeError: " + "very " * 50 + "long"
    write_record(sweep.cells, replace(ended(cell), status="failed", reason=reason, measured={}))
    assert run(monkeypatch, "--status") == 0
    lines = capfd.readouterr().out.splitlines()
    (row,) = [line for line in lines if line.startswith("lstm  9k")]
    assert "failed" in row
    assert row.rstrip().endswith("...")
    assert f"lstm-9k-seed0: {reason}" in lines


def test_what_can_hardly_be_right_is_said(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cell = sweep.resolve()[0]
    write_record(sweep.cells, replace(ended(cell), ended=time.time() + 86_400))
    assert run(monkeypatch, "--status") == 0
    run_grid.conclude(sweep, sweep.listed())
    said = capfd.readouterr().out
    assert said.count("lstm-9k-seed0: it ended 24.0 h ahead of this clock") == 2


def test_a_manifest_that_cannot_be_read_is_named_before_anything_starts(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = path_of(sweep.data("abc") / "manifest.json")
    path.write_text("{}")
    assert run(monkeypatch, "--status") == 2
    assert capfd.readouterr().err.startswith(f"run_grid: {path}: found no fingerprint; prepare")


def test_no_password_of_mlflow_is_shown(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@mlflow:5000")
    assert run_grid.conclude(sweep, sweep.listed()) == 0
    run_grid.say("MLflow   http://me:secret@mlflow:5000")
    said = capfd.readouterr().out
    assert said.count("http://***@mlflow:5000") == 2
    assert "secret" not in said


def test_a_record_that_does_not_open_costs_nothing_else(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As one that another user made for himself; a link to itself opens for nobody, not even for
    root."""
    path = path_of(record_path(sweep.cells, sweep.listed()[0].key))
    path.unlink()
    path.symlink_to(path)
    assert run(monkeypatch, "--status") == 0
    assert "3 cells: 1 unreadable, 2 finished" in capfd.readouterr().out
    assert run_grid.conclude(sweep, sweep.listed()) == 1
    said = capfd.readouterr().out
    assert len(re.findall(r"^lstm +[46]k ", said, re.M)) == 2
    (line,) = [line for line in said.splitlines() if str(path) in line]
    assert line.startswith("Left out of the laws: lstm-9k-seed0: ")
    assert [one.cell.size for one in finished(sweep.cells)] == ["4k", "6k"]
    assert str(path) in capfd.readouterr().err
