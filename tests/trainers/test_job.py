"""Cells as a Ray Train job: any number of workers, and no damage that stops one for ever."""

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
from ray.exceptions import RayActorError, RayError
from ray.train import PreemptionError, PreemptionInfo, ScalingConfig
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from data.errors import DataError
from data.store.location import Location
from tests.conftest import CELL
from tests.processes import descendants
from tests.trainers.listening import listener, record_of
from tests.waiting import wait_until
from trainers import checkpoint, job
from trainers.cell import Cell, Placement
from trainers.checkpoint import CheckpointError
from trainers.curve import Point
from trainers.job import (
    DIED,
    QUIET_AND_QUICK,
    AroundError,
    Listener,
    Outcome,
    _work,
    fit,
    reason,
)
from trainers.losses import read_losses
from trainers.records import Record, record_path


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET_AND_QUICK.items():
            patch.setenv(name, value)
        ray.init(num_cpus=2, log_to_driver=False)
        yield
        ray.shutdown()


def train(cell: Cell, packed: Path, storage: Path, workers: int = 1) -> Record:
    """The record of a cell that is a job of its own; what it had before is removed."""
    placement = Placement(workers=workers, checkpoint_seconds=1)
    record_path(Location.of(storage), cell.key).delete()
    fit([cell], Location.of(packed), Location.of(storage), placement, listener(storage))
    return record_of(storage, cell)


def test_workers_ask_ray_for_the_kind_of_gpu(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[ScalingConfig] = []

    class Trainer:
        def __init__(self, *_: object, scaling_config: ScalingConfig, **__: object) -> None:
            asked.append(scaling_config)

        def fit(self) -> None:
            """Nothing."""

    monkeypatch.setattr("trainers.job.TorchTrainer", Trainer)
    for accelerator in ("H100", ""):
        placement = Placement(workers=2, gpus=1, accelerator=accelerator)
        job._run([cell], Location("data"), Location.of(tmp_path), placement, listener(tmp_path))
    named, usual = (each._resources_per_worker_not_none for each in asked)
    assert usual == {"CPU": 1, "GPU": 1}
    # As little as Ray asks for by itself: a node has one of it, however many GPUs.
    assert named == usual | {"accelerator_type:H100": 0.001}


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


@pytest.mark.long
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


def losses(outcome: Record) -> list[float]:
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
) -> tuple[Path, Record]:
    """Where the LSTM was trained to its end, and what came of it; a test that damages what lies
    there has it trained to its end again."""
    storage = tmp_path_factory.mktemp("ended")
    return storage, train(lstm, packed, storage)


def test_a_damaged_checkpoint_costs_one_interval_and_not_the_cell(
    lstm: Cell, packed: Path, ended: tuple[Path, Record]
) -> None:
    storage, first = ended
    newest = max((storage / lstm.key).glob("checkpoint_0*"))
    (newest / "state.pt").write_bytes(b"torn")
    again = train(lstm, packed, storage)
    assert again.status == "finished"
    assert again.measured["val_loss"] == first.measured["val_loss"]
    assert losses(again) == losses(first)


def test_a_killed_worker_costs_the_running_cell_alone(
    lstm: Cell, packed: Path, tmp_path: Path, ended: tuple[Path, Record]
) -> None:
    """The second of three cells of a job; what the first measured stays, and the third begins."""
    cells = [replace(lstm, seed=1), lstm, replace(lstm, seed=2)]

    def points(cell: Cell, new: list[Point]) -> None:
        once = tmp_path / "killed"
        if cell == lstm and new[-1]["tokens"] > lstm.tokens / 2 and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def note(cell: Cell) -> None:
        with (tmp_path / "ended").open("a") as file:
            file.write(f"{cell.key} {os.getpid()}\n")

    told = listener(tmp_path, points, note)
    placement = Placement(checkpoint_seconds=0, retries=1)
    fit(cells, Location.of(packed), Location.of(tmp_path), placement, told)
    order, pids = zip(*(line.split() for line in (tmp_path / "ended").read_text().splitlines()))
    assert list(order) == [cell.key for cell in cells]
    assert pids[0] != pids[1] == pids[2]
    assert record_of(tmp_path, lstm).measured["val_loss"] == ended[1].measured["val_loss"]
    assert losses(record_of(tmp_path, lstm)) == losses(ended[1])
    # It went on from its own checkpoint.
    assert record_of(tmp_path, lstm).curve[0]["time"] < record_of(tmp_path, lstm).started


NODE_DIED = RayActorError(error_msg="The actor died because its node has died. Node Id: 1")


def scripted(monkeypatch: pytest.MonkeyPatch, faults: dict[str, list[Exception]]) -> list[str]:
    """From now on training a cell raises these, one after another, and then it ends; returns the
    keys of the cells that will have been begun, at each start of workers."""
    begun: list[str] = []

    def run(
        cells: list[Cell], data: object, storage: object, placed: object, told: Listener
    ) -> None:
        for cell in cells:
            begun.append(cell.key)
            if faults.get(cell.key):
                raise faults[cell.key].pop(0)
            measured = {"n_params": 4000, "val_loss": 2.0}
            told.ended(cell, Outcome("finished", "", measured, [], 0.0))

    monkeypatch.setattr("trainers.job._run", run)
    return begun


def test_tries_are_counted_for_each_cell(
    lstm: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [replace(lstm, seed=seed) for seed in range(4)]
    raised = WorkerGroupError("ValueError: it broke", {0: ValueError("it broke")})
    faults: dict[str, list[Exception]] = {
        cells[0].key: [raised],
        cells[1].key: [raised],
        cells[2].key: [raised, raised],
    }
    begun = scripted(monkeypatch, faults)
    nowhere, storage = Location("/nowhere"), Location.of(tmp_path)
    fit(cells, nowhere, storage, Placement(retries=1), listener(tmp_path))
    found = [record_of(tmp_path, cell) for cell in cells]
    assert [record.status for record in found] == ["finished", "finished", "failed", "finished"]
    assert found[2].reason == "ValueError: it broke"
    assert begun == [cells[seed].key for seed in (0, 0, 1, 1, 2, 2, 3)]


@pytest.mark.parametrize(
    "lost",
    [
        PreemptionError(PreemptionInfo(None, {"node": [0]})),
        WorkerGroupError("dead", {0: WorkerHealthCheckFailedError("dead", NODE_DIED)}),
    ],
)
def test_machines_that_are_lost_do_not_count(
    lstm: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: Exception
) -> None:
    scripted(monkeypatch, {lstm.key: [lost] * 5})
    nowhere, storage = Location("/nowhere"), Location.of(tmp_path)
    fit([lstm], nowhere, storage, Placement(retries=0), listener(tmp_path))
    assert record_of(tmp_path, lstm).status == "finished"


def test_a_reason_is_the_line_that_names_the_exception() -> None:
    trace = "Training failed:\nTraceback:\n  File x, line 1\nValueError: not here:\n - path: a/b\n"
    assert reason(RuntimeError(trace)) == "ValueError: not here:"
    assert reason(RuntimeError("several\nlines")) == "lines"
    assert reason(RuntimeError()) == "RuntimeError"


def test_a_long_reason_is_cut_and_a_death_is_told_in_words() -> None:
    assert len(reason(ValueError("ValueError: " + "x" * 5000))) < 400
    died = RayActorError(error_msg="died\nThere are some causes:\n(1) killed by the OOM killer")
    dead = WorkerHealthCheckFailedError("dead", died)
    assert reason(WorkerGroupError("dead", {0: dead})) == DIED
    low = RayActorError(error_msg="the node running low on memory")
    text = f"Task was killed: {low}"
    assert "ran out of memory" in reason(
        WorkerGroupError(text, {0: WorkerHealthCheckFailedError(text, low)})
    )


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (DataError("a.npy: found sum 1, expected 2; copy it again"), "copy it again"),
        (OSError(28, "No space left on device"), "No space left"),
        (CheckpointError("checkpoint_000001: of another cell"), "of another cell"),
        (RayActorError(error_msg="a page\nof words"), "that cells report to died"),
        (RayError("no head\nand more"), "no head and more"),
    ],
)
def test_what_happened_around_a_cell_is_no_outcome(
    lstm: Cell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    said: str,
) -> None:
    def broken(config: object) -> None:
        raise raised

    monkeypatch.setattr("trainers.job._work_through", broken)
    with pytest.raises(AroundError, match=said) as around:
        _work({})
    assert "\n" not in str(around.value)
    # As Ray hands it on.
    scripted(monkeypatch, {lstm.key: [WorkerGroupError("broken", {0: around.value})]})
    storage = Location.of(tmp_path)
    with pytest.raises(AroundError, match=said):
        fit([lstm], Location("/nowhere"), storage, Placement(retries=0), listener(tmp_path))
    assert not record_path(storage, lstm.key).exists()


def test_a_broken_controller_is_no_outcome_either(
    lstm: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = scripted(monkeypatch, {lstm.key: [ControllerError(RuntimeError("gone"))] * 2})
    storage = Location.of(tmp_path)
    with pytest.raises(AroundError, match="gone"):
        fit([lstm], Location("/nowhere"), storage, Placement(retries=1), listener(tmp_path))
    assert len(begun) == 2
    assert not record_path(storage, lstm.key).exists()
