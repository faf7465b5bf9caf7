"""A cell as a Ray Train job: any number of workers, and no damage that stops it for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from data.storage import Location
from trainers.cell import Cell, Placement
from trainers.job import QUIET_AND_QUICK, Outcome, fit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET_AND_QUICK.items():
            patch.setenv(name, value)
        ray.init(num_cpus=2, log_to_driver=False)
        yield
        ray.shutdown()


def train(cell: Cell, packed: Path, storage: Path, workers: int = 1) -> Outcome:
    placement = Placement(workers=workers, checkpoint_seconds=1)
    data, cells = Location.of(packed), Location.of(storage)
    return fit(cell, data, cells, placement, report=lambda points: None)


def test_two_workers_train_the_model_that_one_does(
    cell: Cell, packed: Path, tmp_path: Path
) -> None:
    alone = train(cell, packed, tmp_path / "one")
    shared = train(cell, packed, tmp_path / "two", workers=2)
    assert alone.status == shared.status == "finished"
    assert shared.measured["val_loss"] == pytest.approx(alone.measured["val_loss"], abs=1e-4)


def test_a_truncated_list_of_checkpoints_does_not_stop_the_cell(
    cell: Cell, packed: Path, tmp_path: Path
) -> None:
    cell = replace(cell, arch="lstm")
    first = train(cell, packed, tmp_path)
    snapshot = tmp_path / cell.key / "checkpoint_manager_snapshot.json"
    snapshot.write_text(snapshot.read_text()[:20])
    again = train(cell, packed, tmp_path)
    assert again.measured["val_loss"] == first.measured["val_loss"]
    assert snapshot.with_suffix(".damaged").exists()


def test_a_damaged_checkpoint_costs_one_interval_and_not_the_cell(
    cell: Cell, packed: Path, tmp_path: Path
) -> None:
    cell = replace(cell, arch="lstm")
    first = train(cell, packed, tmp_path)
    newest = max((tmp_path / cell.key).glob("checkpoint_2*"))
    (newest / "state.pt").write_bytes(b"torn")
    again = train(cell, packed, tmp_path)
    assert again.status == "finished"
    assert again.measured["val_loss"] == first.measured["val_loss"]
    assert [point["train_loss"] for point in again.curve] == [
        point["train_loss"] for point in first.curve
    ]
