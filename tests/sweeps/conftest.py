"""A server of MLflow, as a user may have one; and a sweep that has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from data.store.location import Location
from data.store.manifest import Manifest
from fitting.contract import METRICS
from harness.serving import Served, served
from sweeps.sweep import Sweep
from trainers.cell import Cell
from trainers.records import Record, write_record

GRID = """\
data: {source: folk}
cells: {arch: lstm, size: [4k, 6k, 9k], tokens: 10k}
training: {batch_tokens: 512, context: 64}
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """MLflow's server over the database of a folder of sweeps."""
    with served(tmp_path_factory.mktemp("runs")) as running:
        yield running


def ended(cell: Cell) -> Record:
    n = cell.rung.counts.n_params
    known = {"n_params": n, "tokens": cell.tokens, "val_loss": 5 * n**-0.3 + 1}
    measured = dict.fromkeys(METRICS, 1.0) | known
    return Record(cell.key, "finished", "", cell.params(), measured, [], 1.0, 2.0)


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Three cells that have finished, with all of it tracked."""
    (tmp_path / "small.yaml").write_text(GRID)
    made = Sweep(str(tmp_path / "small.yaml"), (), Location.of(tmp_path / "runs"))
    manifest = Manifest("fake", "stand-in", "abc", 24, 139, 0, {}, {}, {}, {})
    (made.data("abc") / "manifest.json").write_text(json.dumps(asdict(manifest)))
    for cell in made.resolve():
        write_record(made.cells, ended(cell))
    made.tracked.write_text(json.dumps({"cells": [cell.key for cell in made.listed()]}))
    monkeypatch.setattr("sys.argv", ["run_grid", "--grid", made.grid_name, "--out", str(made.out)])
    return made
