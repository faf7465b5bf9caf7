"""The real command, as a user types it."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.exceptions import RayError, RayTaskError

from data.errors import DataError
from data.music.filters import Filters
from data.store.location import Location
from data.store.manifest import read_manifest
from fitting.contract import grouped
from fitting.runs.read import read_mlflow
from sweeps import run_grid
from sweeps.sweep import Sweep
from tests.conftest import flip_a_bit
from tests.sweeps.real_command import cell_runs, records, run, write_grid, written
from trainers.losses import read_losses


def test_a_sweep_ends_with_laws_a_report_and_one_run_a_cell(source: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path, source)
    out = tmp_path / "runs"
    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "At 6k parameters, paired on " in done.stdout
    printed = " ".join(done.stdout.split())
    page = (out / "small" / "report" / "report.html").read_text()
    why = "found 2 values of N (parameters)"
    for arch in ("transformer", "lstm"):
        assert f"{arch} no law not supported: {why}" in printed
    assert why in page
    about = json.loads((out / "small" / "report" / "fit.json").read_text())["about"]
    assert about["title"] == f"Sweep small: {source.name}"
    assert about["facts"]["runs"] == "4 finished runs"
    assert {"corpus", "hardware", "software", "code", "trained"} <= set(about["facts"])
    for text in (*about["facts"].values(), 'href="samples.html"', 'href="fit.json"'):
        assert text in page
    assert {record["status"] for record in records(out).values()} == {"finished"}
    assert {record["ran_on"]["workers"] for record in records(out).values()} == {1}
    for key, record in records(out).items():
        val = read_losses(Location.of(out / "small" / "cells" / key))["val"]
        loss = val.nats.sum(dtype=float) / val.tokens.sum()
        assert loss == pytest.approx(record["measured"]["val_loss"], rel=1e-6)
        assert len(set(val.groups)) == record["measured"]["val_works"]
    # Ray and MLflow kept quiet: nothing but our own lines.
    assert not [line for line in done.stdout.splitlines() if "INFO" in line or "raylet" in line]

    rows = read_mlflow("small", f"sqlite:///{out}/mlflow/mlflow.db")
    assert sorted(rows["cell_key"]) == sorted(records(out))
    assert (rows["val_loss"] > 0).all()
    for finished in cell_runs(out, "small"):
        assert finished.info.status == "FINISHED"
        said = {"train_loss", "learning_rate", "tokens_per_second", "memory_mb", "cpu_cores"}
        assert set(map(grouped, said)) <= set(finished.data.metrics)

    before = written(out)
    again = run(grid, out)
    assert again.returncode == 0
    assert again.stdout.startswith("Nothing to do: all 4 cells of small have ended.\n")
    # Not even MLflow was started.
    assert written(out) == before


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


def test_an_unknown_grid_is_refused(tmp_path: Path) -> None:
    assert "did you mean 'quickstart'" in one_line(run("quikstart", tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_a_mistake_in_a_grid_is_named_with_its_line(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, Path("folk"), name="wrong")
    grid.write_text(grid.read_text().replace("context", "contxt"))
    assert "wrong.yaml:10: unknown key 'contxt'" in one_line(run(grid, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    grid = write_grid(tmp_path, tmp_path / "empty", name="empty")
    assert "is empty" in one_line(run(grid, tmp_path / "runs"))


@pytest.fixture
def nothing_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """What watches a sweep ends all that its process has started, which here is not the sweep."""
    watch = contextlib.nullcontext(SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(run_grid, "Standing", lambda *_: watch)


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "[Errno 28] No space left"),
        (DataError("the archive is broken"), 2, "the archive is broken"),
        (RayError("a node is lost"), 1, "Ray lost what the sweep needs: a node is lost. Nothing"),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_what_a_task_raises_is_told_as_what_it_is(
    raised: Exception,
    code: int,
    line: str,
    sweep: Sweep,
    nothing_stands: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """And not as Ray raises it: with a page for its text, and without a number."""

    def lost(*_: object) -> None:
        ray = RayTaskError("task", "Traceback\n  a page\n", raised, "p", 1, "127.0.0.1")
        raise ray.as_instanceof_cause()

    monkeypatch.setattr(run_grid, "run_with_ray", lost)
    monkeypatch.setattr(run_grid, "nothing_to_do", lambda *_: None)
    assert run_grid.main() == code
    (said,) = capfd.readouterr().err.splitlines()
    assert said.startswith(f"run_grid: {line}")
    if isinstance(raised, OSError):
        assert said.endswith("free some room; the same command goes on")


def test_data_are_prepared_as_the_grid_wants_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = tmp_path / "mine.yaml"
    grid.write_text(
        "data: {source: folk, ticks_per_quarter: 12, filters: {too_short: 30}, max_tokens: 500, "
        "works: mine, facts: mine.csv}\n"
        "cells: {arch: lstm, size: 4k, tokens: 10k}\n"
        "training: {batch_tokens: 512, context: 64}\n"
    )
    wanted: dict[str, object] = {}

    def prepare(*_: object, **options: object) -> None:
        wanted.update(options)
        raise DataError("told")

    monkeypatch.setattr("data.prepare.prepare", prepare)
    with pytest.raises(DataError, match="told"):
        run_grid.prepare_data(Sweep(str(grid), (), Location.of(tmp_path)), "abc")
    assert wanted == {
        "ticks_per_quarter": 12,
        "filters": Filters(too_short=30),
        "max_tokens": 500,
        "works": "mine",
        "facts": "mine.csv",
    }


def test_a_sweep_begins_on_no_data_that_have_changed(
    sweep: Sweep, summed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_a_bit(summed / "packed" / "val.tokens.npy")
    shutil.copytree(summed, str(sweep.data("abc")), dirs_exist_ok=True)
    known = replace(read_manifest(summed), splits={"train": {"pieces": 1, "tokens": 2}})
    monkeypatch.setattr("data.prepare.prepare", lambda *_, **__: known)
    with pytest.raises(DataError, match=r"val\.tokens\.npy: found sum"):
        run_grid.prepare_data(sweep, "abc")
