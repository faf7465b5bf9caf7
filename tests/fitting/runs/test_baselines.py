"""The baselines of a data set are read beside its runs, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fitting.report import main
from fitting.runs.baselines import SCHEMA, read_baselines
from fitting.runs.read import RecordError, complete
from harness.experiments import make_records

MEASURED = {"5-gram": {"val_loss": 1.8, "val_loss_se": 0.02}}
RUNS = complete(make_records(seeds=1, sizes=5).assign(data="abc123"))


def written(folder: Path, **fields: object) -> Path:
    path = folder / "baselines.json"
    path.write_text(
        json.dumps({"schema": SCHEMA, "data": "abc123", "baselines": MEASURED} | fields)
    )
    return path


def test_what_was_counted_comes_back(tmp_path: Path) -> None:
    assert read_baselines(written(tmp_path), RUNS) == MEASURED


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data": "def456"}, "found baselines of data def456, expected those of abc123"),
        ({"schema": SCHEMA + 1}, f"found schema {SCHEMA + 1}, expected {SCHEMA}"),
        ({"baselines": {"5-gram": {"val_loss": "low"}}}, "found no baselines"),
        ({"baselines": {"5-gram": {"val_loss": float("nan")}}}, "a loss that is not finite"),
        ({"baselines": [1]}, "found no baselines"),
    ],
)
def test_what_is_none_is_refused_in_a_line(
    tmp_path: Path, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(RecordError, match=said) as refused:
        read_baselines(written(tmp_path, **fields), RUNS)
    assert "\n" not in str(refused.value)


def test_the_command_reads_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = tmp_path / "runs.csv", tmp_path / "out"
    RUNS.drop(columns="train_curve").to_csv(table, index=False)
    command = ["--csv", str(table), "--out", str(out), "--baselines"]
    assert main([*command, str(written(tmp_path))]) == 0
    assert "Counting alone, in nats per token: 5-gram 1.800" in capsys.readouterr().out
    assert json.loads((out / "fit.json").read_text())["baselines"] == MEASURED
    assert main([*command, str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err
