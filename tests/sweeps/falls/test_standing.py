"""When what a sweep stands on falls, it ends with a line and leaves no process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from data.store.location import Location
from sweeps.falls.standing import Standing
from tests.processes import descendants
from tests.sweeps.real_command import ROOT
from tests.waiting import PATIENCE_SECONDS, wait_until

# Stands on a folder, with two children: one called `raylet`, which `ray` is made to believe in.
STANDS = """\
import signal, subprocess, sys, time, types
import ray
from pathlib import Path
from data.store.location import Location
from sweeps.falls import standing

for name in ("LOOK_SECONDS", "END_SECONDS", "SAVE_SECONDS", "SILENT_SECONDS"):
    setattr(standing, name, 0.2)
raylet = subprocess.Popen(["sleep", "1000"])
agent = subprocess.Popen(["sh", "-c", "sleep 1001 & wait"])

class Node:
    def dead_processes(self):
        return [("raylet", raylet)] if raylet.poll() is not None else []

sys.modules["ray._private.worker"]._global_node = Node()
folder = Location.of(sys.argv[1])
(folder / "alive.json").write_text("{}")
with standing.Standing(folder, folder / "alive.json") as watch:
    signal.signal(signal.SIGTERM, lambda *_: None)  # Heard by a main thread that does not end.
    while not watch.children:
        time.sleep(0.05)
    print(raylet.pid, flush=True)
    if sys.argv[2] == "silent":
        watch.answered = time.monotonic()
    elif sys.argv[2]:
        standing.ASK_SECONDS = 0.2
        watch.joined(sys.argv[2])
    time.sleep(1000)
"""


@contextmanager
def standing(folder: Path, how: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that stands, and the pid of what it takes for its raylet."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", STANDS, str(folder), how],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and its last line; that it leaves nothing behind is seen to."""
    children = descendants(process.pid, "sleep")
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    wait_until(lambda: not any(map(runs, children)))
    return process.returncode, said.splitlines()[-1]


def runs(pid: int) -> bool:
    shown = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(shown.stdout) and not shown.stdout.startswith("Z")


def test_a_killed_process_of_ray_is_named(tmp_path: Path) -> None:
    with standing(tmp_path / "small") as (process, raylet):
        os.kill(raylet, signal.SIGKILL)
        code, line = end(process)
    assert code == 1
    assert line == (
        "run_grid: Ray's node process (raylet) has ended (killed by SIGKILL). Nothing that was "
        "saved is lost: the same command goes on from there."
    )
    # Nothing runs, and nothing says so.
    assert not (tmp_path / "small" / "alive.json").exists()


def test_where_ray_is_told_to_end_with_the_sweep_that_is_an_interruption(tmp_path: Path) -> None:
    with standing(tmp_path / "small") as (process, raylet):
        process.send_signal(signal.SIGTERM)
        os.kill(raylet, signal.SIGTERM)
        code, line = end(process)
    assert code == 130
    assert line.startswith("Interrupted: Ray's node process (raylet) has ended (killed by SIGTERM)")


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with standing(tmp_path / "small") as (process, _):
        (tmp_path / "small").rename(tmp_path / "away")
        code, line = end(process)
    assert code == 1
    assert line.startswith(f"run_grid: {tmp_path / 'small'} is gone (No such file or directory).")


def test_a_new_folder_of_its_name_is_not_the_folder(tmp_path: Path) -> None:
    """What a cell saves makes one."""
    with standing(tmp_path / "small") as (process, _):
        (tmp_path / "small").rename(tmp_path / "away")
        (tmp_path / "small" / "cells").mkdir(parents=True)
        code, line = end(process)
    assert code == 1
    assert line.startswith(f"run_grid: {tmp_path / 'small'} is gone (another one has its name).")


def test_a_look_that_fails_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    looks: list[float] = []

    def look(watch: Standing, now: float) -> None:
        looks.append(now)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("sweeps.falls.standing.LOOK_SECONDS", 0.01)
    monkeypatch.setattr(Standing, "_look_once", look)
    with Standing(Location.of(tmp_path), Location.of(tmp_path / "alive.json")):
        wait_until(lambda: looks[2:])
    assert "Too many open files" in capfd.readouterr().err


def test_a_signal_that_is_not_obeyed_ends_it_all_the_same(tmp_path: Path) -> None:
    with standing(tmp_path / "small") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert end(process) == (130, "Interrupted. Nothing is lost: the same command goes on.")


def test_a_tracker_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with standing(tmp_path / "small", "silent") as (process, _):
        code, line = end(process)
    assert code == 1
    assert line.startswith("run_grid: the tracker, which runs on Ray's head, has not answered")


def test_the_head_of_a_joined_cluster_that_is_lost_is_named(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with standing(tmp_path / "small", address) as (process, _):
            code, line = end(process)
    assert code == 1
    assert line.startswith(f"run_grid: the head of the cluster, {address}, is lost")


def test_a_full_disk_is_told_waited_for_and_in_the_end_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    free = [0]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=free[0]))
    watch = Standing(Location.of(tmp_path), Location.of(tmp_path / "alive.json"))
    assert not watch._storage(100.0)
    assert not watch._storage(101.0)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"The disk of {tmp_path} is full: cells wait 120 s for room")
    assert watch._storage(221.0) == f"the disk of {tmp_path} is full: free some room"
    free[0] = 10**9
    assert not watch._storage(222.0)
    assert capfd.readouterr().err == "There is room on the disk again.\n"
