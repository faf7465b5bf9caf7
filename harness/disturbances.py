"""What can happen to a sweep from outside, as the tests and the benchmark of it do it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import ray  # noqa: F401  Brings psutil.

import psutil  # isort: skip

ROOT = Path(__file__).parents[1]
GOES_ON = "the same command goes on"


class Sweeping:
    """A sweep under way, in a process of its own, whose output goes to a file."""

    def __init__(self, grid: Path, out: Path, env: dict[str, str]) -> None:
        self.grid, self.out = grid, out
        self.folder = out / grid.stem
        self.log = out.parent / f"{out.name}-{time.time_ns()}.log"
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                command(grid, out), cwd=ROOT, env=os.environ | env, stdout=file, stderr=file
            )
        self.seen: set[psutil.Process] = set()

    def children(self) -> list[psutil.Process]:
        """What it has started and still runs; and what it once had started is remembered."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            found = []
        self.seen |= set(found)
        return found

    def named(self, word: str) -> list[psutil.Process]:
        """Those of its processes whose program or title has this word."""
        found = []
        for child in self.children():
            try:
                if word in " ".join(child.cmdline()[:1]):
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def left(self) -> list[psutil.Process]:
        """What it has started and has left behind."""
        return [each for each in self.seen if _runs(each)]

    def has_checkpoint(self) -> bool:
        self.children()
        return any((self.folder / "cells").glob("*/checkpoint_*/state.sha256"))

    def has_ended(self) -> bool:
        self.children()
        return self.process.poll() is not None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """End it, and all that it has started."""
        self.children()
        self.process.kill()
        self.process.wait()
        for each in self.left():
            with contextlib.suppress(psutil.Error):
                each.kill()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def command(grid: Path, out: Path) -> list[str]:
    return [sys.executable, "sweeps/run_grid.py", "--grid", str(grid), "--out", str(out)]


@dataclass(frozen=True)
class Disturbance:
    """One thing that happens to a sweep."""

    what: str
    do: Callable[[Sweeping], object]
    says: str
    """What the user is then told, a part of it."""
    code: int
    """The exit code of the sweep that it happened to."""
    ready: Callable[[Sweeping], object] = Sweeping.has_checkpoint
    """When it may happen."""
    env: dict[str, str] = field(default_factory=dict)
    mend: Callable[[Path], object] = lambda out: None
    """What a user does before the same command, given the folder of sweeps."""


def killed(word: str) -> Callable[[Sweeping], object]:
    return lambda sweep: sweep.named(word)[0].kill()


def told(number: signal.Signals) -> Callable[[Sweeping], object]:
    return lambda sweep: sweep.process.send_signal(number)


def has(word: str) -> Callable[[Sweeping], object]:
    return lambda sweep: sweep.named(word)


def damage(sweep: Sweeping) -> None:
    """Flip a bit of a token before the workers read it, and have one start anew."""
    (file,) = sweep.out.glob("data/*/packed/train.tokens.npy")
    flip(file)
    killed("ray::RayTrainWorker")(sweep)


def flip(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(-3, os.SEEK_END)
        byte = opened.read(1)[0]
        opened.seek(-3, os.SEEK_END)
        opened.write(bytes([byte ^ 1]))


def flip_back(out: Path) -> None:
    (file,) = out.glob("data/*/packed/train.tokens.npy")
    flip(file)


def remove_rest(out: Path) -> None:
    for folder in out.glob("*.away"):
        shutil.rmtree(folder)


def paused(sweep: Sweeping) -> None:
    """A laptop that sleeps for longer than the tracker may be silent."""
    sweep.process.send_signal(signal.SIGSTOP)
    time.sleep(60)
    sweep.process.send_signal(signal.SIGCONT)


KINDS = {
    "raylet": Disturbance("Ray's node process killed", killed("raylet"), "(raylet) has ended", 1),
    "gcs": Disturbance("Ray's head process killed", killed("gcs_server"), "(gcs_server) has", 1),
    "tracker": Disturbance("the tracker killed", killed("ray::Tracker"), "the tracker, which", 1),
    "worker": Disturbance("a worker killed", killed("ray::RayTrainWorker"), "finished", 0),
    "trial": Disturbance("a job's driver killed", killed("ray::ImplicitFunc"), "finished", 0),
    "driver": Disturbance("the sweep itself killed", told(signal.SIGKILL), "", -9),
    "term": Disturbance("SIGTERM", told(signal.SIGTERM), GOES_ON, 130),
    "int": Disturbance("Ctrl-C", told(signal.SIGINT), GOES_ON, 130),
    "hup": Disturbance("the terminal closed (SIGHUP)", told(signal.SIGHUP), GOES_ON, 130),
    "term-early": Disturbance(
        "SIGTERM while Ray starts", told(signal.SIGTERM), GOES_ON, 130, has("gcs_server")
    ),
    "folder": Disturbance(
        "the sweep's folder removed",
        lambda sweep: sweep.folder.rename(sweep.folder.with_suffix(".away")),
        "is gone",
        1,
        mend=remove_rest,
    ),
    "token": Disturbance(
        "a bit of a token flipped, and a worker killed",
        damage,
        "found sum",
        1,
        mend=flip_back,
    ),
    "paused": Disturbance("the sweep stopped for a minute (SIGSTOP)", paused, "finished", 0),
    "nowhere": Disturbance(
        "RAY_ADDRESS names a port where nothing listens",
        lambda sweep: None,
        "nothing answers",
        1,
        lambda sweep: True,
        {"RAY_ADDRESS": "127.0.0.1:9"},
    ),
    "proxy": Disturbance(
        "a proxy in the environment that does not answer",
        lambda sweep: None,
        "finished",
        0,
        lambda sweep: True,
        {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
    ),
    "no-mlflow": Disturbance(
        "MLFLOW_TRACKING_URI names a server that is not there",
        lambda sweep: None,
        "see that it runs and can be reached",
        1,
        lambda sweep: True,
        {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
    ),
}
