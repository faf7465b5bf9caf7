"""A visit to a GPU, tried without one: every part runs to its end on toys and says what it saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainers.ladder import archs

ROOT = Path(__file__).parents[2]


def visit(out: Path, *words: str, seconds: float = 3600) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--small"]
    command += ["--out", str(out), "--work", str(out.with_name("stays"))]
    return subprocess.run(
        [*command, "--seconds", str(seconds), *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def tables(out: Path, part: str) -> dict[str, list[dict[str, Any]]]:
    """Rows by the name of their table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (out / f"{part}.jsonl").read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row.pop("table"), []).append(row)
    return found


def closed(rows: list[dict[str, Any]]) -> bool:
    """Whether each row has what it is for."""
    return not any(row.get("note", "").startswith("open") for row in rows)


@pytest.mark.slow
def test_right(tmp_path: Path) -> None:
    done = visit(tmp_path / "back", "--only", "right")
    assert done.returncode == 0, done.stderr
    found = tables(tmp_path / "back", "right")
    gradients = found["loss and gradients against fp64"]
    assert {(row["arch"], row["arithmetic"]) for row in gradients} == {
        (arch, kind) for arch in archs() for kind in ("fp32", "TF32", "bf16")
    }
    # Not every CPU has an LSTM in bf16.
    assert closed(
        [row for row in gradients if (row["arch"], row["arithmetic"]) != ("lstm", "bf16")]
    )
    resumed = found["stopped and resumed"]
    assert all(
        row["resumed_after"] < row["steps"] and row["bit_equal"] == "True" for row in resumed
    )
    roomy, cramped, *_ = found["out of memory"]
    assert cramped["micro_tokens"] < roomy["micro_tokens"]
    curves = found["curves against the CPU's"]
    assert all(row["verdict"] == "ok" for row in curves)
    assert [row["difference"] for row in curves if row["precision"] == "fp32"] == [0, 0]
    assert closed(found["memory"])
    assert "FAIL" not in done.stdout


@pytest.mark.slow
def test_fast(tmp_path: Path) -> None:
    done = visit(tmp_path / "back", "--only", "fast")
    assert done.returncode == 0, done.stderr
    found = tables(tmp_path / "back", "fast")
    ours = {row["arch"]: row for row in found["speed"] if row["contender"] == "ours"}
    assert set(ours) == {"transformer", "lstm"}
    assert all(row["tokens_per_second"] > 0 for row in ours.values())
    assert closed([row for row in found["speed"] if row["contender"] != "HF"])
    assert closed(found["where the time goes"])
    for row in found["where the time goes"]:
        assert "aten::" in (tmp_path / "back" / row["file"]).read_text()
    head, *lines = (tmp_path / "back" / "gpu_speed.csv").read_text().splitlines()
    assert head == "gpu,arch,size,tokens_per_second,share_of_peak"
    assert [line.split(",")[:3] for line in lines] == [[*("cpu", arch, "20k")] for arch in ours]


def test_a_part_without_time_is_open_by_name(tmp_path: Path) -> None:
    done = visit(tmp_path / "back", seconds=5)
    assert done.returncode == 0, done.stderr
    for part in ("right", "fast", "shared", "ladder"):
        assert f"{part}: open, no time" in done.stdout


@pytest.fixture(scope="module")
def prepared(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set to be brought along."""
    out = tmp_path_factory.mktemp("brought") / "tunes"
    command = [sys.executable, "-m", "data.prepare", "--source", str(source), "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return out


@pytest.mark.long
def test_shared(tmp_path: Path, prepared: Path) -> None:
    done = visit(tmp_path / "back", "--only", "shared", "--data", str(prepared))
    assert done.returncode == 0, done.stderr
    found = tables(tmp_path / "back", "shared")
    assert [row["verdict"] for row in found["two ranks on one card"]] == ["ok", "ok"]
    assert closed(found["cells beside each other"])
    assert all(row["gain"] > 0 for row in found["cells beside each other"])
    (drawn,) = found["samples drawn"]
    assert drawn["verdict"] == "ok"


@pytest.mark.slow
def test_ladder(tmp_path: Path, prepared: Path) -> None:
    """What comes back is a sweep's folder to the commands that read one."""
    done = visit(tmp_path / "back", "--only", "ladder", "--data", str(prepared))
    assert done.returncode == 0, done.stderr
    found = tables(tmp_path / "back", "ladder")
    (round_,) = found["rounds"]
    assert round_["finished"] == round_["cells"] == 8
    assert round_["exit"] == 0
    (came,) = found["what came back"]
    assert came["weights"] == came["cells"] == 8
    back = tmp_path / "back" / came["sweep"]
    assert (back / "report" / "fit.json").exists()
    assert (tmp_path / "back" / "mlflow.db.xz").stat().st_size
    words = [str(back), "--data", str(prepared), "--best", "--count", "2", "--shown", "1"]
    command = [sys.executable, "-m", "trainers.generate", "--sweep", *words]
    composed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert composed.returncode == 0, composed.stderr
    assert (back / "samples" / "samples.html").exists()
