"""Nothing half-written or foreign is ever read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainers import checkpoint

STATE = {"cell_key": "a-cell", "step": 3, "model": {"weight": torch.arange(6.0)}}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, STATE)
    state = checkpoint.load(tmp_path, "a-cell")
    assert state["step"] == 3
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, keep: int) -> None:
    checkpoint.save(tmp_path, STATE)
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(checkpoint.CheckpointError, match="checksum"):
        checkpoint.load(tmp_path, "a-cell")


def test_a_folder_without_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(checkpoint.CheckpointError, match="incomplete"):
        checkpoint.load(tmp_path, "a-cell")


def test_another_cells_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, STATE)
    with pytest.raises(checkpoint.CheckpointError, match="belongs to cell a-cell"):
        checkpoint.load(tmp_path, "another")
