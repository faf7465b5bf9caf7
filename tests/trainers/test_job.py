"""A cell as a Ray Train job: any number of workers, and no damage that stops it for ever."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import torch

from data.store.location import Location
from tests.conftest import CELL
from tests.processes import descendants
from tests.waiting import wait_until
from trainers import checkpoint
from trainers.cell import Cell, Placement
from trainers.job import QUIET_AND_QUICK, Outcome, fit
from trainers.losses import read_losses


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
    assert [each.ran_on["workers"] for each in (alone, shared)] == [1, 2]
    for storage in ("one", "two"):
        losses = read_losses(Location.of(tmp_path / storage) / cell.key)
        assert {name: len(each.nats) for name, each in losses.items()} == {"val": 20, "test": 20}


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_train_the_same_model_bit_for_bit(
    cell: Cell, packed: Path, tmp_path: Path
) -> None:
    cell = replace(cell, tokens=2000 * cell.batch_tokens)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    undisturbed = train(cell, packed, whole, workers=2)
    killed = threading.Thread(target=kill_one_worker, args=(broken / cell.key,))
    killed.start()
    resumed = train(cell, packed, broken, workers=2)
    killed.join()
    assert resumed.measured["val_loss"] == undisturbed.measured["val_loss"]
    assert losses(resumed) == losses(undisturbed)
    ends = [last_weights(storage / cell.key, cell) for storage in (whole, broken)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def kill_one_worker(folder: Path) -> None:
    """At some step after the first checkpoint, whichever that is."""
    wait_until(lambda: list(folder.glob("checkpoint_*/state.pt")))
    time.sleep(random.random())
    workers = descendants(os.getpid(), "ray::RayTrainWorker")
    os.kill(random.choice(workers), signal.SIGKILL)


def losses(outcome: Outcome) -> list[float]:
    return [point["train_loss"] for point in outcome.curve]


def last_weights(folder: Path, cell: Cell) -> dict[str, torch.Tensor]:
    state = checkpoint.restore(Location.of(folder), cell.key)
    assert state is not None
    assert state["step"] == cell.steps
    return state["model"]


@pytest.fixture(scope="module")
def lstm() -> Cell:
    return replace(CELL, arch="lstm")


@pytest.fixture(scope="module")
def ended(
    lstm: Cell, packed: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome]:
    """Where the LSTM was trained to its end, and what came of it; a test that damages what lies
    there has it trained to its end again."""
    storage = tmp_path_factory.mktemp("ended")
    return storage, train(lstm, packed, storage)


def test_a_truncated_list_of_checkpoints_does_not_stop_the_cell(
    lstm: Cell, packed: Path, ended: tuple[Path, Outcome]
) -> None:
    storage, first = ended
    snapshot = storage / lstm.key / "checkpoint_manager_snapshot.json"
    snapshot.write_text(snapshot.read_text()[:20])
    again = train(lstm, packed, storage)
    assert again.measured["val_loss"] == first.measured["val_loss"]
    assert snapshot.with_suffix(".damaged").exists()


def test_a_damaged_checkpoint_costs_one_interval_and_not_the_cell(
    lstm: Cell, packed: Path, ended: tuple[Path, Outcome]
) -> None:
    storage, first = ended
    newest = max((storage / lstm.key).glob("checkpoint_0*"))
    (newest / "state.pt").write_bytes(b"torn")
    again = train(lstm, packed, storage)
    assert again.status == "finished"
    assert again.measured["val_loss"] == first.measured["val_loss"]
    assert losses(again) == losses(first)
