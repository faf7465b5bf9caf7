"""Whatever is killed, cut off or broken: the same command ends with the undisturbed sweep's losses,
one MLflow run a cell, and no step missing or doubled."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweeps.tracking import Server, free_port
from tests.sweeps.real_command import (
    assert_tracked_once,
    losses,
    run,
    running,
    write_grid,
)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Undisturbed:
    """A sweep that nothing has happened to."""

    grid: Path
    out: Path

    def beside(self, folder: Path) -> Path:
        """A folder for another sweep of the grid, over the same data."""
        out = folder / "runs"
        shutil.copytree(self.out / "data", out / "data")
        return out


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("reference")
    grid = write_grid(folder, source, archs="lstm", sizes="[4k, 6k]", tokens="2M", every=0.5)
    done = run(grid, folder / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    return Undisturbed(grid, folder / "runs")


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[Server]:
    server = Server.start(tmp_path / "runs" / "mlflow", free_port(5700))
    server.wait()
    yield server
    server.stop()


def test_a_killed_worker_a_killed_driver_and_a_killed_mlflow(
    reference: Undisturbed, tmp_path: Path, mlflow: Server
) -> None:
    out = reference.beside(tmp_path)
    env = {"MLFLOW_TRACKING_URI": mlflow.uri}
    with running(reference.grid, out, tmp_path / "log", **env) as sweep:
        sweep.wait_for(sweep.saved)
        assert mlflow.pid is not None
        os.killpg(mlflow.pid, signal.SIGKILL)
        os.kill(sweep.wait_for(lambda: sweep.processes("ray::RayTrainWorker"))[0], signal.SIGKILL)
        os.kill(sweep.wait_for(lambda: sweep.processes("ray::ImplicitFunc"))[-1], signal.SIGKILL)
        time.sleep(5)
        again = Server.start(mlflow.log.parent, int(mlflow.uri.rsplit(":", 1)[1]))
        assert again.uri == mlflow.uri
        try:
            assert sweep.end() == 0, sweep.log.read_text()
        finally:
            again.stop()
    assert losses(out) == losses(reference.out)
    assert_tracked_once(out, "small")


def test_a_sweep_that_is_told_to_end_saves_and_goes_on(
    reference: Undisturbed, source: Path, tmp_path: Path
) -> None:
    out = reference.beside(tmp_path)
    # Checkpoints are far apart: what there is was saved because of the signal.
    grid = write_grid(tmp_path, source, archs="lstm", sizes="[4k, 6k]", tokens="2M", every=3600)
    with running(grid, out, tmp_path / "log") as sweep:
        sweep.wait_for(lambda: "% loss" in sweep.log.read_text())
        sweep.process.send_signal(signal.SIGTERM)
        assert sweep.end() == 130, sweep.log.read_text()
        assert "the same command goes on" in sweep.log.read_text()
        assert sweep.saved()
    assert "resumable" in run(grid, out, "--status").stdout
    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert losses(out) == losses(reference.out)
    assert_tracked_once(out, "small")
