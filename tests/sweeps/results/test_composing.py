"""The last step of a sweep: models that compose beside each other, each at its own risk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.exceptions import RayError

from tests.sweeps.real_command import records, run, write_grid
from trainers.samples.apart import in_turn


@pytest.fixture
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def half(total: int, name: str) -> int:
    if name == "dies":
        os._exit(1)
    if name == "fails":
        raise ValueError("nothing there")
    return total // 2


def once_dead(folder: Path, name: str) -> str:
    """Its process dies at the first call."""
    mark = folder / name
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return name


@pytest.mark.usefixtures("cluster")
def test_a_task_that_fails_or_dies_costs_its_own_result_only(tmp_path: Path) -> None:
    from sweeps.results.composing import beside_each_other

    tasks = [("a",), ("fails",), ("dies",), ("b",)]
    a, failed, died, b = beside_each_other(half, tasks, (10,))
    assert (a, b) == (5, 5)
    assert isinstance(failed, ValueError)
    assert str(failed) == str(next(in_turn(half, [("fails",)], (10,))))
    assert isinstance(died, RayError)
    # A node may be taken away at any time: what died is tried once more.
    assert list(beside_each_other(once_dead, [("c",)], (tmp_path,))) == ["c"]


@pytest.mark.long
def test_a_damaged_checkpoint_loses_neither_the_law_nor_what_others_compose(
    source: Path, tmp_path: Path
) -> None:
    grid, out = write_grid(tmp_path, source, archs="lstm", tokens="10k"), tmp_path / "runs"
    assert run(grid, out).returncode == 0
    folder = out / "small"
    assert "samples.html" in (folder / "report" / "report.html").read_text()

    # As if the sweep had been killed before its report.
    shutil.rmtree(folder / "report")
    (folder / "tracked.txt").unlink()
    damaged = next(key for key, one in records(out).items() if one["params"]["size"] == "4k")
    for state in (folder / "cells" / damaged).glob("checkpoint_*/state.pt"):
        state.write_bytes(b"half of it")
    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("No samples")]
    assert "lstm-4k-seed0" in line
    assert "checksum" in line
    assert f"python -m trainers.generate --sweep {folder}" in line
    assert "lstm" in (folder / "report" / "fit.json").read_text()
    assert "samples.html" in (folder / "report" / "report.html").read_text()
    page = (folder / "report" / "samples.html").read_text()
    assert page.count("<article") > 2

    # No model is left that could compose: the law is there all the same.
    shutil.rmtree(folder / "report")
    (folder / "tracked.txt").unlink()
    for state in folder.glob("cells/*/checkpoint_*/state.pt"):
        state.write_bytes(b"half of it")
    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("No samples") == 1
    assert "lstm" in (folder / "report" / "fit.json").read_text()
    assert "samples.html" not in (folder / "report" / "report.html").read_text()
