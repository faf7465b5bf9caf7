"""What can happen to a sweep from outside, as the tests and the benchmark of it do it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.serving import served
from harness.sweeping import ROOT, Sweeping, command

import psutil  # isort: skip

GOES_ON = "the same command goes on"
DONE = "report/report.html"
"""At a sweep's end, and only there."""


Environment = dict[str, str]


@contextlib.contextmanager
def _nothing(out: Path) -> Iterator[Environment]:
    yield {}


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
    around: Callable[[Path], contextlib.AbstractContextManager[Environment]] = _nothing
    """What surrounds the sweep, and the same command after it, given the folder of sweeps; yields
    what the environment has more."""
    mend: Callable[[Path], object] = lambda out: None
    """What a user does before the same command, given the folder of sweeps."""
    needs_root: bool = False
    from_its_start: bool = False


def begun_with(what: str, says: str, code: int, **more: str) -> Disturbance:
    """An environment in which the sweep begins."""
    around = lambda out: contextlib.nullcontext(more)  # noqa: E731
    return Disturbance(what, lambda sweep: None, says, code, around=around, from_its_start=True)


# What happens.


class NothingThereError(Exception):
    """What was to be disturbed was not there at that moment."""


def killed(word: str) -> Callable[[Sweeping], object]:
    return lambda sweep: some(sweep, word)[0].kill()


def all_killed(word: str) -> Callable[[Sweeping], object]:
    return lambda sweep: [each.kill() for each in some(sweep, word)]


def some(sweep: Sweeping, word: str) -> list[psutil.Process]:
    found = sweep.named(word)
    if not found:
        raise NothingThereError(word)
    return found


def told(*numbers: signal.Signals) -> Callable[[Sweeping], object]:
    """Signals to the sweep alone, a second apart."""

    def do(sweep: Sweeping) -> None:
        for number in numbers:
            sweep.process.send_signal(number)
            time.sleep(len(numbers) - 1)

    return do


def all_told(number: signal.Signals) -> Callable[[Sweeping], object]:
    """A signal to the sweep and what it has started, as a terminal and a batch system send it."""
    return lambda sweep: os.killpg(sweep.process.pid, number)


def power_cut(sweep: Sweeping) -> None:
    children = sweep.children()
    sweep.process.kill()
    for each in children:
        with contextlib.suppress(psutil.Error):
            each.kill()


def stopped(word: str, seconds: float) -> Callable[[Sweeping], object]:
    def do(sweep: Sweeping) -> None:
        for each in some(sweep, word):
            each.suspend()
        time.sleep(seconds)
        for each in sweep.named(word):
            with contextlib.suppress(psutil.Error):
                each.resume()

    return do


def paused(sweep: Sweeping) -> None:
    """A laptop that sleeps for longer than the tracker may be silent."""
    sweep.process.send_signal(signal.SIGSTOP)
    time.sleep(60)
    sweep.process.send_signal(signal.SIGCONT)


def a_second(sweep: Sweeping) -> None:
    """The same command again, at once; what it says is kept with the first one's."""
    with sweep.log.open("a") as file:
        second = command(sweep.grid, sweep.out)
        subprocess.run(second, cwd=ROOT, stdout=file, stderr=file, check=False)


def has(word: str) -> Callable[[Sweeping], object]:
    return lambda sweep: sweep.named(word)


def token_flipped(sweep: Sweeping) -> None:
    """Flip a bit of a token before the workers read it, and have one start anew."""
    flip(sweep.out)
    killed("ray::RayTrainWorker")(sweep)


def flip(out: Path) -> None:
    (file,) = out.glob("data/*/packed/train.tokens.npy")
    with file.open("r+b") as opened:
        opened.seek(-3, os.SEEK_END)
        byte = opened.read(1)[0]
        opened.seek(-3, os.SEEK_END)
        opened.write(bytes([byte ^ 1]))


def checkpoints_cut(sweep: Sweeping) -> None:
    """Cut each cell's newest checkpoint in half, and have the workers start anew."""
    for cell in (sweep.folder / "cells").iterdir():
        for file in sorted(cell.glob("checkpoint_*/state.pt"))[-1:]:
            os.truncate(file, file.stat().st_size // 2)
    all_killed("ray::RayTrainWorker")(sweep)


def moved_away(name: str) -> Callable[[Sweeping], object]:
    def do(sweep: Sweeping) -> None:
        folder = sweep.out / name
        folder.rename(folder.with_suffix(".away"))

    return do


def data_removed(sweep: Sweeping) -> None:
    moved_away("data")(sweep)
    all_killed("ray::RayTrainWorker")(sweep)


def put_back(out: Path) -> None:
    (away,) = out.glob("*.away")
    folder = away.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    away.rename(folder)


def remove_rest(out: Path) -> None:
    for folder in out.glob("*.away"):
        shutil.rmtree(folder)


def database(out: Path) -> Path:
    return out / "mlflow" / "mlflow.db"


def database_locked(sweep: Sweeping) -> None:
    """Another program holds MLflow's database for half a minute."""
    with contextlib.closing(sqlite3.connect(database(sweep.out))) as held:
        held.execute("begin exclusive")
        time.sleep(30)


def database_damaged(sweep: Sweeping) -> None:
    database(sweep.out).write_bytes(b"no database" * 1000)


def put_aside(out: Path) -> None:
    for file in database(out).parent.glob("mlflow.db*"):
        file.unlink()


# What surrounds it.


@contextlib.contextmanager
def small_disk(out: Path) -> Iterator[Environment]:
    disk = out / "small"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", disk], check=True)
    try:
        yield {}
    finally:
        kept = out / "kept"
        shutil.copytree(disk, kept)
        subprocess.run(["umount", "--lazy", disk], check=True)
        disk.rmdir()
        kept.rename(disk)


def fill(sweep: Sweeping) -> None:
    with (sweep.folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"0" * 4096):
            pass


def fill_for_a_while(sweep: Sweeping) -> None:
    fill(sweep)
    time.sleep(20)
    make_room(sweep.out)


def make_room(out: Path) -> None:
    (out / "small" / "filler").unlink()


@contextlib.contextmanager
def mlflow_served(out: Path) -> Iterator[Environment]:
    """MLflow's server over the sweeps' database."""
    with served(out, port=5700) as server:
        (out / "server.pid").write_text(str(server.process.pid))
        yield server.environment


def server_killed(sweep: Sweeping) -> None:
    os.kill(int((sweep.out / "server.pid").read_text()), signal.SIGKILL)


KINDS = {
    # Ray.
    "raylet": Disturbance("Ray's node process killed", killed("raylet"), "(raylet) has ended", 1),
    "gcs": Disturbance("Ray's head process killed", killed("gcs_server"), "(gcs_server) has", 1),
    "agent": Disturbance(
        "Ray's agent killed", killed("ray::DashboardAgent"), "(raylet) has ended", 1
    ),
    "worker": Disturbance("a worker killed", killed("ray::RayTrainWorker"), DONE, 0),
    "workers": Disturbance("all workers killed", all_killed("ray::RayTrainWorker"), DONE, 0),
    "worker-stopped": Disturbance(
        "the workers stopped for 30 s (SIGSTOP)", stopped("ray::RayTrainWorker", 30), DONE, 0
    ),
    "trial": Disturbance("a job's driver killed", killed("ray::ImplicitFunc"), DONE, 0),
    "nowhere": begun_with(
        "RAY_ADDRESS names a port where nothing listens",
        "nothing answers",
        1,
        RAY_ADDRESS="127.0.0.1:9",
    ),
    # The sweep, and who tells it to end.
    "driver": Disturbance("the sweep itself killed", told(signal.SIGKILL), "", -9),
    "power": Disturbance("everything killed at once", power_cut, "", -9),
    "term": Disturbance("SIGTERM", told(signal.SIGTERM), GOES_ON, 130),
    "all-term": Disturbance(
        "SIGTERM to all that it has started, as a batch system ends a job",
        all_told(signal.SIGTERM),
        GOES_ON,
        130,
    ),
    "term-early": Disturbance(
        "SIGTERM while Ray starts", told(signal.SIGTERM), GOES_ON, 130, has("gcs_server")
    ),
    "int": Disturbance("Ctrl-C, in a terminal", all_told(signal.SIGINT), GOES_ON, 130),
    "int-twice": Disturbance(
        "Ctrl-C, and again a second later", told(signal.SIGINT, signal.SIGINT), GOES_ON, 130
    ),
    "hup": Disturbance("the terminal closed (SIGHUP)", all_told(signal.SIGHUP), GOES_ON, 130),
    "paused": Disturbance("the sweep stopped for a minute (SIGSTOP)", paused, DONE, 0),
    "second": Disturbance("a second sweep begun in its folder", a_second, "works on the sweep", 0),
    # MLflow.
    "tracker": Disturbance("the tracker killed", killed("ray::Tracker"), "the tracker, which", 1),
    "no-mlflow": begun_with(
        "MLFLOW_TRACKING_URI names a server that is not there",
        "see that it runs and can be reached",
        1,
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
    ),
    "mlflow-killed": Disturbance(
        "MLflow's server killed",
        server_killed,
        "the same command sends them again",
        1,
        around=mlflow_served,
    ),
    "database-locked": Disturbance(
        "MLflow's database locked by another for 30 s", database_locked, DONE, 0
    ),
    "database-damaged": Disturbance(
        "MLflow's database written over",
        database_damaged,
        "put it aside: a new one is filled again",
        1,
        mend=put_aside,
    ),
    # Files and disks.
    "folder": Disturbance(
        "the sweep's folder removed", moved_away("small"), "is gone", 1, mend=remove_rest
    ),
    "data": Disturbance(
        "the data removed, and the workers killed",
        data_removed,
        "no finished data at",
        2,
        mend=put_back,
    ),
    "token": Disturbance(
        "a bit of a token flipped, and a worker killed", token_flipped, "found sum", 1, mend=flip
    ),
    "checkpoints": Disturbance(
        "each newest checkpoint cut in half, and the workers killed", checkpoints_cut, DONE, 0
    ),
    "disk-full": Disturbance(
        "the disk full for 20 s",
        fill_for_a_while,
        "There is room on the disk again",
        0,
        around=small_disk,
        needs_root=True,
    ),
    "disk-stays-full": Disturbance(
        "the disk full for good",
        fill,
        " is full: ",
        1,
        around=small_disk,
        mend=make_room,
        needs_root=True,
    ),
    # Surroundings.
    "proxy": begun_with(
        "a proxy in the environment that does not answer",
        DONE,
        0,
        http_proxy="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
    ),
    "posix": begun_with("an encoding without signs (LC_ALL=POSIX)", DONE, 0, LC_ALL="POSIX"),
}
