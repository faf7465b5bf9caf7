"""Sweeps of earlier code, as they were left: today's finds their cells and reads their records.

Each folder below tests/frozen is named by the day of its code. It holds the grid and what
`python sweeps/run_grid.py` left, without checkpoints, tokens and report.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from data.store.location import Location
from sweeps.results.summary import frame
from sweeps.sweep import Sweep
from tests.sweeps.real_command import run

FROZEN = sorted((Path(__file__).parents[1] / "frozen").iterdir())


@pytest.fixture(params=FROZEN, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / "frozen"))


@pytest.fixture
def sweep(folder: Path) -> Sweep:
    return Sweep(str(folder / "small.yaml"), (), Location.of(folder / "out"))


def test_every_cell_has_the_key_it_had(sweep: Sweep) -> None:
    before = json.loads((sweep.folder / "cells.json").read_text())["cells"]
    now = sweep.listed()
    assert [cell.key for cell in now] == [cell["key"] for cell in before]


def test_every_record_is_read(sweep: Sweep) -> None:
    keys = {cell.key for cell in sweep.listed()}
    records = sweep.records(keys)
    assert set(records) == keys
    assert {record.schema for record in records.values()} == {1}
    rows = frame(records.values())
    assert set(rows["precision"]) == {"fp32"}
    assert set(rows["optimizer"]) == {"adamw"}
    assert (rows["val_loss"] > 0).all()


def test_the_command_finds_nothing_to_do(folder: Path) -> None:
    done = run(folder / "small.yaml", folder / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to do: all 5 cells" in done.stdout
