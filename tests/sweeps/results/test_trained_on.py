"""What a sweep says of its best: how far it is, in a line, and what came of it, in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps import best
from sweeps.results import handing, trained_on
from sweeps.sweep import Sweep
from sweeps.view import status
from tests.sweeps.conftest import ended
from trainers.cell import Cell
from trainers.records import write_record


@pytest.fixture
def grid(sweep: Sweep) -> Sweep:
    """Three cells that have finished; the best is to be trained for three epochs."""
    manifest = sweep.data("abc") / "manifest.json"
    known = json.loads(manifest.read_text()) | {"splits": {"train": {"tokens": 10_000}}}
    manifest.write_text(json.dumps(known))
    path = Path(sweep.grid_name)
    path.write_text(path.read_text() + "best: {epochs: 3}\n")
    return replace(sweep)


def said(sweep: Sweep) -> str:
    return trained_on.sentence(sweep, best.standing(sweep))


def begun(sweep: Sweep) -> Cell:
    chosen = best.standing(sweep).chosen
    assert chosen
    return best.begin(sweep, chosen)[1]


def finish(sweep: Sweep, val_loss: float = 1.0) -> Cell:
    cell = begun(sweep)
    record = ended(cell)
    write_record(sweep.cells, replace(record, measured=record.measured | {"val_loss": val_loss}))
    return cell


def test_a_line_says_how_far_it_is(grid: Sweep) -> None:
    assert said(grid) == "Best: lstm-9k-seed0 for 3 epochs: to come."
    cell = begun(grid)
    assert said(grid) == "Best: lstm-9k-seed0 for 3 epochs: it has begun."
    write_record(grid.cells, replace(ended(cell), status="diverged", reason="up", measured={}))
    assert said(grid) == "Best: lstm-9k-seed0 for 3 epochs diverged: up"
    finish(grid)
    assert said(grid).startswith(
        "Best: lstm-9k-seed0 for 3 epochs: val_loss 1.0000 (perplexity 2.718), test_loss "
    )
    assert "Before, in the grid: val_loss 1.3" in said(grid)


def test_status_says_at_which_step_it_is(
    grid: Sweep, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = begun(grid)
    running = status.Alive({cell.key: 5120.0}, [[cell.key]])
    monkeypatch.setattr(status, "alive", lambda sweep: running)
    status.show(grid, "")
    printed = capfd.readouterr().out
    assert "3 epochs: it has begun. It is running at step 10 of 59.\n" in printed
    assert "is not running" not in printed
    monkeypatch.setattr(status, "alive", lambda sweep: status.Alive())
    status.show(grid, "")
    assert "The sweep is not running" in capfd.readouterr().out


def test_the_report_has_it_beside_the_cell_it_came_from(grid: Sweep) -> None:
    assert trained_on.told(grid) is None
    cell = finish(grid)
    told = trained_on.told(grid)
    assert told
    assert [row[0] for row in told.rows] == ["lstm-9k-seed0", "lstm-9k-seed0-best, 3 epochs"]
    assert told.rows[1][told.head.index("perplexity")] == "2.718"
    assert told.values["cell_key"] == cell.key
    assert told.values["val_loss"] == 1.0


def test_a_best_that_did_not_finish_is_told_with_the_reason(grid: Sweep) -> None:
    record = replace(ended(begun(grid)), status="failed", reason="no memory", measured={})
    write_record(grid.cells, record)
    told = trained_on.told(grid)
    assert told
    assert told.sentences == ["lstm-9k-seed0-best, 3 epochs, failed: no memory."]


def test_a_loss_without_end_has_no_perplexity(grid: Sweep) -> None:
    finish(grid, val_loss=1e6)
    assert "(perplexity –)" in said(grid)


def test_what_cannot_be_exported_is_told_in_a_line(
    grid: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begun(grid)
    handing.export_best(grid)
    assert capfd.readouterr().out == ""
    finish(grid)
    handing.export_best(grid)
    printed = capfd.readouterr().out
    assert "The best is not exported: " in printed
    assert f"Again: python -m trainers.export --sweep {grid.folder} --best" in printed
    monkeypatch.setattr(handing, "find_spec", lambda name: None)
    handing.export_best(grid)
    printed = capfd.readouterr().out
    assert printed.startswith("The best is not exported: found no safetensors; pip install")
    assert f"--sweep {grid.folder} --best --to {grid.best}" in printed
