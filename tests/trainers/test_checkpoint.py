"""Nothing half-written or foreign is ever read."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from data.store.location import Location
from trainers import checkpoint
from trainers.saved import newest_first, newest_step

STATE: dict[str, Any] = {"cell_key": "a-cell", "step": 3, "model": {"weight": torch.arange(6.0)}}


@pytest.fixture
def cell(tmp_path: Path) -> Location:
    return Location.of(tmp_path / "cell")


def save(cell: Location, step: int, key: str = "a-cell") -> Path:
    place = checkpoint.save(cell, STATE | {"step": step, "cell_key": key}).local
    assert place is not None
    return place


def test_what_was_saved_comes_back(cell: Location) -> None:
    save(cell, step=3)
    state = checkpoint.restore(cell, "a-cell")
    assert state is not None
    assert state["step"] == 3
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])


def test_nothing_comes_back_where_nothing_was_saved(cell: Location) -> None:
    assert checkpoint.restore(cell, "a-cell") is None


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_truncated_checkpoint_costs_one_interval(cell: Location, keep: int) -> None:
    save(cell, step=1)
    torn = save(cell, step=2) / "state.pt"
    torn.write_bytes(torn.read_bytes()[:keep])
    with pytest.raises(checkpoint.DamagedError, match="checksum"):
        checkpoint.load(Location.of(torn.parent), "a-cell")
    state = checkpoint.restore(cell, "a-cell")
    assert state is not None
    assert state["step"] == 1


def test_a_checkpoint_that_was_never_ended_is_passed_over(cell: Location) -> None:
    save(cell, step=1)
    (save(cell, step=2) / "state.pt").unlink()
    state = checkpoint.restore(cell, "a-cell")
    assert state is not None
    assert state["step"] == 1


def test_the_newest_is_the_one_of_most_steps(cell: Location) -> None:
    made = [save(cell, step) for step in (9, 100, 10, 100)]
    steps = [place.name.split("_")[1] for place in newest_first(cell)]
    assert steps == ["000000100", "000000100", "000000010", "000000009"]
    assert len(set(made)) == 4


def test_another_cells_checkpoint_is_refused_and_left_alone(cell: Location) -> None:
    place = save(cell, step=1)
    with pytest.raises(checkpoint.CheckpointError, match="belongs to cell a-cell, expected b"):
        checkpoint.restore(cell, "b")
    assert (place / "state.pt").exists()


def test_a_full_disk_leaves_no_half(cell: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    save(cell, step=1)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        save(cell, step=2)
    assert len(cell.children()) == 1


def test_the_two_newest_are_kept(cell: Location) -> None:
    for step in (1, 2, 3):
        checkpoint.save_next(cell, STATE | {"step": step})
    kept = [checkpoint.load(place, "a-cell")["step"] for place in newest_first(cell)]
    assert kept == [3, 2]
    assert newest_step(cell) == 3


def test_what_was_never_ended_is_not_the_newest_step(cell: Location) -> None:
    assert newest_step(cell) is None
    save(cell, step=1)
    (save(cell, step=2) / "state.pt").unlink()
    assert newest_step(cell) == 1
