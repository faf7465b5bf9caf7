"""What a sweep stands on is killed or taken away, with the real command: it says so in a line, and
leaves nothing running; and the same command ends with the undisturbed losses."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.disturbances import KINDS, Disturbance
from harness.sweeping import ROOT, Sweeping, command
from tests.sweeps.real_command import losses, write_grid
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def grid(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("falls")
    return write_grid(folder, source, archs="lstm", tokens="4M", every=1)


@pytest.fixture(scope="module")
def undisturbed(grid: Path) -> Path:
    out = grid.parent / "undisturbed"
    subprocess.run(command(grid, out), cwd=ROOT, check=True)
    return out


@pytest.mark.long
@pytest.mark.parametrize("kind", [pytest.param(each, id=name) for name, each in KINDS.items()])
def test_a_fall_is_a_line_and_costs_nothing(
    kind: Disturbance, grid: Path, undisturbed: Path, tmp_path: Path
) -> None:
    if kind.needs_root and os.geteuid():
        pytest.skip("needs root, to mount a small disk")
    out = tmp_path / "runs"
    shutil.copytree(undisturbed / "data", out / "data")
    with kind.around(out) as more:
        sweep = Sweeping(grid, out, more)
        try:
            wait_until(lambda: kind.from_its_start or kind.ready(sweep) or sweep.has_ended())
            kind.do(sweep)
            wait_until(sweep.has_ended)
            assert sweep.process.returncode == kind.code, sweep.text()
            assert kind.says in sweep.text()
            assert "Traceback" not in sweep.text()
            wait_until(lambda: not sweep.left())
        finally:
            sweep.stop()
        kind.mend(out)
    again = subprocess.run(command(grid, out), cwd=ROOT, capture_output=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert losses(out) == losses(undisturbed)
