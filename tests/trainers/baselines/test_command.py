"""`python -m trainers.baselines`: told, and kept beside the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.origin import ORIGINS
from fitting.contract import ORIGIN_METRICS
from trainers.baselines.__main__ import main


def test_each_baseline_is_told_by_class_and_kept(
    summed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(summed)]) == 0
    said = capsys.readouterr().out
    kept = json.loads((summed / "baselines.json").read_text())
    assert kept["data"] == "fake"
    assert kept["counted_tokens"] == kept["train_tokens"]
    assert f"counted: {kept['train_tokens']:,} of {kept['train_tokens']:,} tokens" in said
    for name, measured in kept["baselines"].items():
        assert said.count(f"{name}  ") >= 2
        assert set(measured) <= {
            *ORIGIN_METRICS,
            "val_loss",
            "val_loss_se",
            "test_loss",
            "test_loss_se",
        }
        parts = [f"val_loss_{each}" for each in ORIGINS if f"val_loss_{each}" in measured]
        total = sum(measured[each] * measured[f"{each}_share"] for each in parts)
        assert total == pytest.approx(measured["val_loss"], rel=1e-9)
    # Pieces that count upwards: what follows is known once it has been seen.
    assert kept["baselines"]["5-gram"]["val_loss"] < 0.3


def test_a_part_of_training_is_counted_in_whole_pieces_and_said(
    summed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(summed), "--train-tokens", "100"]) == 0
    kept = json.loads((summed / "baselines.json").read_text())
    assert 100 <= kept["counted_tokens"] < 190
    assert f"counted: {kept['counted_tokens']} of" in capsys.readouterr().out


def test_a_folder_without_data_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path)]) == 1
    assert "no finished data" in capsys.readouterr().err
