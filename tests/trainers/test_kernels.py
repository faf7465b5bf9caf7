"""Kernels: chosen by the shape alone, and never other ones on a CPU."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.strangers import mode
from trainers.cell import Cell
from trainers.kernels import COMPILE_SECONDS, SAVED_SECONDS, compiles, pays, prepared

CPU, CARD = torch.device("cpu"), torch.device("cuda")


def test_compiling_pays_where_it_saves_more_than_it_takes() -> None:
    enough = COMPILE_SECONDS / SAVED_SECONDS
    assert pays(steps=int(enough / 4) + 1, n_layers=4)
    assert not pays(steps=int(enough / 4) - 1, n_layers=4)


def test_a_large_model_is_compiled_on_a_card_and_a_small_one_is_not(cell: Cell) -> None:
    large = replace(cell, size="20M", vocab_size=139, context=256, batch_tokens=4096, tokens=4096)
    model = torch.nn.Identity()
    assert compiles(model, large, CARD)
    assert not compiles(model, large, CPU)
    assert not compiles(model, replace(large, size="300k"), CARD)
    assert not compiles(model, replace(large, boundaries="restart"), CARD)
    assert not compiles(torch.nn.LSTM(2, 2), large, CARD)


@pytest.mark.parametrize("size", ["300k", "20M"])
def test_cells_of_one_size_share_their_kernels_whatever_their_budget(cell: Cell, size: str) -> None:
    first = replace(cell, size=size, schedule="wsd", vocab_size=139)
    budgets = [replace(first, tokens=n * first.batch_tokens, lr=n) for n in (1, 1000, 10**6)]
    assert len({compiles(torch.nn.Identity(), each, CARD) for each in budgets}) == 1


def test_the_record_says_which_kernels_there_were(cell: Cell) -> None:
    model = cell.rung.build()
    assert prepared(model, cell, CPU, "auto") == (model, {"compiled": False, "tf32": False})
    lstm = replace(cell, arch="lstm")
    _, found = prepared(lstm.rung.build(), lstm, CPU, "auto")
    assert found == {"compiled": False, "tf32": False, "lstm": "onednn"}
    with torch.backends.mkldnn.flags(enabled=False):
        assert prepared(lstm.rung.build(), lstm, CPU, "auto")[1]["lstm"] == "native"


def test_the_kernel_of_the_lstm_is_the_one_that_runs(cell: Cell) -> None:
    lstm = replace(cell, arch="lstm").rung.build()
    with torch.profiler.profile() as profiler:
        lstm(torch.zeros(2, 8, dtype=torch.long))
    assert any("mkldnn_rnn_layer" in event.key for event in profiler.key_averages())


def test_what_is_compiled_is_kept_where_nobody_else_can_plant_any(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch unpickles it."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # What is set is taken back.
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("trainers.kernels.compiles", lambda *_: True)
    monkeypatch.setattr("torch.compile", lambda model, **_: model)
    prepared(cell.rung.build(), cell, CPU, "auto")
    kept = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert kept.parent.parent == tmp_path
    assert mode(kept.parent) == 0o700
