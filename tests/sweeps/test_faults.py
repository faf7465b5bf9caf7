"""Whatever is killed, cut off or broken: the same command ends with the undisturbed sweep's losses,
one MLflow run a cell, and no step missing or doubled.

Every sweep here has two jobs, one a size, of cells of two budgets, which share a trunk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from harness.serving import Served, served
from tests.sweeps.real_command import (
    ROOT,
    Running,
    assert_tracked_once,
    losses,
    records,
    run,
    running,
    write_grid,
)
from trainers.saved import TRUNK

FAULTY = Path(__file__).parent / "faulty"
SMALL, LARGE = 999_936, 1_999_872
"""Tokens of a cell, in whole batches."""
CELLS: dict[str, Any] = {"archs": "lstm", "tokens": f"[{SMALL}, {LARGE}]", "schedule": "wsd"}
AWAY_SECONDS, FULL_SECONDS = 60, 20
"""How long MLflow is away, and a disk full: part of the fault, and no wait for anything."""


@dataclass(frozen=True)
class Undisturbed:
    """A sweep of eight cells that nothing has happened to."""

    grid: Path
    out: Path

    def beside(self, folder: Path) -> Path:
        """A folder for another sweep, over the same data."""
        out = folder / "runs"
        shutil.copytree(self.out / "data", out / "data")
        return out


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("reference")
    grid = write_grid(folder, source, **CELLS, seeds="[0, 1]", every=0.5)
    done = run(grid, folder / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    return Undisturbed(grid, folder / "runs")


@pytest.fixture
def grid(source: Path, tmp_path: Path) -> Path:
    """Those of the reference's cells that have the first seed."""
    return write_grid(tmp_path, source, **CELLS, every=0.5)


def assert_as_if_undisturbed(out: Path, reference: Undisturbed, cells: int) -> None:
    expected = losses(reference.out)
    found = losses(out)
    assert len(found) == cells
    assert found == {key: expected[key] for key in found}
    assert_tracked_once(out, "small")
    # Ray Train has left nothing.
    (folder,) = out.glob("*/cells")
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "runs") as server:
        yield server


@pytest.mark.long
def test_a_killed_worker_a_killed_driver_and_an_mlflow_that_is_away_for_a_minute(
    reference: Undisturbed, grid: Path, tmp_path: Path, mlflow: Served
) -> None:
    out = reference.beside(tmp_path)
    with running(grid, out, tmp_path / "log", **mlflow.environment) as sweep:
        sweep.wait_for(sweep.saved)
        mlflow.process.kill()
        killed = time.monotonic()
        os.kill(sweep.wait_for(lambda: sweep.processes("ray::RayTrainWorker"))[0], signal.SIGKILL)
        os.kill(sweep.wait_for(lambda: sweep.processes("ray::ImplicitFunc"))[-1], signal.SIGKILL)
        time.sleep(max(0.0, killed + AWAY_SECONDS - time.monotonic()))
        with served(out, mlflow.port) as again:
            assert again.environment == mlflow.environment
            assert sweep.end() == 0, sweep.log.read_text()
    assert_as_if_undisturbed(out, reference, cells=4)


@pytest.mark.long
def test_a_sweep_that_is_told_to_end_saves_and_goes_on(
    reference: Undisturbed, source: Path, tmp_path: Path
) -> None:
    out = reference.beside(tmp_path)
    # Nothing is saved before a cell's end unless somebody asks for it.
    grid = write_grid(tmp_path, source, **CELLS, every=1e9)
    saved: set[Path] = set()
    for number in (signal.SIGTERM, signal.SIGINT):
        with running(grid, out, tmp_path / f"log{number}") as sweep:
            sweep.wait_for_progress()
            sweep.process.send_signal(number)
            assert sweep.end() == 130, sweep.log.read_text()
            assert "the same command goes on" in sweep.log.read_text()
            found = set(sweep.cells.glob("*/checkpoint_*"))
            assert found - saved
            saved = found
        assert "resumable" in run(grid, out, "--status").stdout
    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_as_if_undisturbed(out, reference, cells=4)


@pytest.mark.long
def test_a_killed_sweep_with_a_damaged_checkpoint_and_a_larger_grid(
    reference: Undisturbed, grid: Path, tmp_path: Path
) -> None:
    out = reference.beside(tmp_path)
    with running(grid, out, tmp_path / "log") as sweep:
        cell = sweep.wait_for(lambda: twice_saved(sweep))
        sweep.process.kill()
    killed = time.time()
    newest = max(cell.glob("checkpoint_*/state.pt"))
    os.truncate(newest, newest.stat().st_size // 2)

    # Another seed: the reference's whole grid.
    done = run(reference.grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_as_if_undisturbed(out, reference, cells=8)
    curve = records(out)[cell.name]["curve"]
    # Trained again from the checkpoint before, not from the beginning.
    assert curve[0]["time"] < killed < curve[-1]["time"]


def twice_saved(sweep: Running) -> Path | None:
    """The folder of a running cell that has two whole checkpoints, if there is one."""
    found = (sweep.cells / name for name in sweep.saved())
    return next((cell for cell in found if len(list(cell.glob("*/state.sha256"))) > 1), None)


@pytest.mark.long
def test_a_sweep_killed_in_a_trunk_at_its_end_and_in_a_branch(
    reference: Undisturbed, grid: Path, tmp_path: Path
) -> None:
    out = reference.beside(tmp_path)

    def in_a_trunk() -> bool:
        return bool(sweep.saved())

    def at_its_end() -> bool:
        return any(sweep.cells.glob(f"*{TRUNK}*/checkpoint_*/state.sha256"))

    def in_a_branch() -> bool:
        """A cell trains that has taken over what another of its family has left."""
        ended = {record["params"]["size"] for record in records(out).values()}
        return any(size in name for name in sweep.saved() for size in ended)

    for happens in (in_a_trunk, at_its_end, in_a_branch):
        with running(grid, out, tmp_path / "log") as sweep:
            sweep.wait_for(happens)
            sweep.process.kill()
    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_as_if_undisturbed(out, reference, cells=4)
    taken = [record["ran_on"].get("tokens_from_trunk") for record in records(out).values()]
    assert sorted(taken, key=bool) == [None, None, *[pytest.approx(0.8 * SMALL, abs=512)] * 2]


@pytest.mark.long
def test_a_lost_node_and_then_a_cluster_of_another_size(
    reference: Undisturbed, grid: Path, tmp_path: Path
) -> None:
    out = reference.beside(tmp_path)
    with (
        a_cluster(cpus=[0, 1, 1]) as (cluster, nodes),
        running(grid, out, tmp_path / "log", RAY_ADDRESS=cluster.address) as sweep,
    ):
        sweep.wait_for(lambda: len(sweep.saved()) == 2 or records(out))
        cluster.remove_node(nodes[1], allow_graceful=False)
        before = checkpoints(sweep)
        sweep.wait_for(lambda: checkpoints(sweep) - before)
        sweep.process.kill()
    with a_cluster(cpus=[2]) as (cluster, _):
        done = run(grid, out, RAY_ADDRESS=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_as_if_undisturbed(out, reference, cells=4)


def checkpoints(sweep: Running) -> set[Path]:
    return set(sweep.cells.glob("*/checkpoint_*/state.pt")) | set(sweep.cells.glob("*/record.json"))


@contextmanager
def a_cluster(cpus: list[int]) -> Iterator[tuple[Cluster, list]]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0]})
    try:
        nodes = [made.add_node(num_cpus=n) for n in cpus[1:]]
        yield made, nodes
    finally:
        made.shutdown()


@pytest.mark.long
def test_a_cell_that_raises_once_and_one_that_always_does(
    reference: Undisturbed, grid: Path, tmp_path: Path
) -> None:
    out, faults = reference.beside(tmp_path), tmp_path / "faults"
    faults.mkdir()
    once, always = f"4k-{LARGE}", f"6k-{SMALL}"
    (faults / once).write_text("once")
    (faults / always).write_text("always")
    env = {"CRESCENDO_TEST_FAILS": str(faults), "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}"}
    done = run(grid, out, **env)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\n4 cells: 3 finished, 1 failed\n" in run(grid, out, "--status").stdout
    failed = [each["params"] for each in records(out).values() if each["status"] == "failed"]
    assert [f"{params['size']}-{params['tokens']}" for params in failed] == [always]
    assert f"failed: RuntimeError: the test lets {always} fail" in done.stdout

    (faults / always).unlink()
    done = run(grid, out, "--retry-failed", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_as_if_undisturbed(out, reference, cells=4)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
@pytest.mark.long
def test_a_full_disk_costs_time(reference: Undisturbed, grid: Path, tmp_path: Path) -> None:
    out = reference.beside(tmp_path)
    disk = out / "small"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", disk], check=True)
    try:
        with running(grid, out, tmp_path / "log") as sweep:
            sweep.wait_for(sweep.saved)
            fill(disk / "filler")
            time.sleep(FULL_SECONDS)
            (disk / "filler").unlink()
            assert sweep.end() == 0, sweep.log.read_text()
        assert_as_if_undisturbed(out, reference, cells=4)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"0" * 4096):
                pass
        except OSError:
            return
