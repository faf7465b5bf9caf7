"""Which cell a grid's best is, when it begins, and what becomes of it when the grid grows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data.store.location import Location
from sweeps import best, removal, run_grid
from sweeps.best import Standing
from sweeps.sweep import Sweep
from tests.sweeps.conftest import ended
from tests.sweeps.test_fresh import say
from trainers.best import best_file, read_bests
from trainers.cell import Cell
from trainers.records import record_path, write_record

SPLIT = 10_000
"""Tokens to train on."""


@pytest.fixture
def grid(sweep: Sweep) -> Sweep:
    """Three cells that have finished, of 4k, 6k and 9k, of which the largest is best."""
    manifest = sweep.data("abc") / "manifest.json"
    known = json.loads(manifest.read_text()) | {"splits": {"train": {"tokens": SPLIT}}}
    manifest.write_text(json.dumps(known))
    return rewritten(sweep, "best: {epochs: 3}\n", "", "")


def rewritten(sweep: Sweep, more: str, old: str, new: str) -> Sweep:
    path = Path(sweep.grid_name)
    path.write_text(path.read_text().replace(old, new) + more)
    return replace(sweep)


def finish(sweep: Sweep, cell: Cell, val_loss: float | None = None) -> None:
    record = ended(cell)
    lower = {"val_loss": val_loss} if val_loss else {}
    write_record(sweep.cells, replace(record, measured=record.measured | lower))


def begun(sweep: Sweep) -> Cell:
    chosen = best.standing(sweep).chosen
    assert chosen
    return best.begin(sweep, chosen)[1]


def size(stands: Standing) -> str:
    assert stands.chosen
    return stands.chosen.of.fields["size"]


def test_the_cell_of_the_lowest_loss_is_trained_for_whole_batches_of_that_many_epochs(
    grid: Sweep,
) -> None:
    assert size(best.standing(grid)) == "9k"
    cell, of = begun(grid), next(cell for cell in grid.resolve() if cell.size == "9k")
    # 58.6 batches of 512.
    assert cell == replace(of, tokens=59 * 512)
    assert cell.key != of.key


def test_it_waits_until_every_cell_has_ended(grid: Sweep) -> None:
    last = grid.listed()[-1]
    record_path(grid.cells, last.key).delete()
    stands = best.standing(grid)
    assert stands.why_not == ("The best waits for other cells to end: 1; the same command goes on.")
    assert not stands.to_train
    assert stands.is_well


def test_a_cell_that_failed_has_ended_and_is_not_the_best(grid: Sweep) -> None:
    largest = next(cell for cell in grid.resolve() if cell.size == "9k")
    write_record(grid.cells, replace(ended(largest), status="failed", reason="no", measured={}))
    assert size(best.standing(grid)) == "6k"


def test_a_grid_of_which_nothing_finished_has_no_best(grid: Sweep) -> None:
    for cell in grid.resolve():
        write_record(grid.cells, replace(ended(cell), status="failed", reason="", measured={}))
    assert best.standing(grid).why_not == "There is no best to train on: no cell has finished."


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("tokens: 10k", "tokens: 40k", "it has seen 39,936 tokens, and 3 epochs are 30,208"),
        ("tokens: 10k", "tokens: [10k, 30k]", "the grid has it for 3 epochs"),
    ],
)
def test_what_the_grid_trains_as_long_is_not_trained_again(
    grid: Sweep, old: str, new: str, why: str
) -> None:
    grown = rewritten(grid, "", old, new)
    for cell in grown.resolve():
        finish(grown, cell, val_loss=1.0 if cell.tokens == 10_240 else None)
    stands = best.standing(grown)
    assert stands.why_not == f"The best, {stands.why_not.split()[2]} is not trained on: {why}."
    assert stands.is_well


def test_it_is_to_train_until_its_own_record_is_there(grid: Sweep) -> None:
    assert best.standing(grid).to_train
    cell = begun(grid)
    assert best.standing(grid).to_train
    finish(grid, cell)
    stands = best.standing(grid)
    assert not stands.to_train
    assert stands.is_well
    assert stands.record
    assert stands.record.cell_key == cell.key


def test_where_another_cell_becomes_the_best_that_one_is_trained_and_the_old_kept(
    grid: Sweep,
) -> None:
    first = begun(grid)
    finish(grid, first)
    grown = rewritten(grid, "", "9k]", "9k, 20k]")
    finish(grown, next(cell for cell in grown.resolve() if cell.size == "20k"))
    stands = best.standing(grown)
    assert size(stands) == "20k"
    assert stands.to_train
    second = begun(grown)
    bests = read_bests(grown.folder)
    assert bests.shown
    assert bests.shown.cell == second.key
    assert [each.cell for each in bests.before] == [first.key]
    assert grown.records([first.key])
    # And back: the old one is there still, and is not trained again.
    back = rewritten(grown, "", "9k, 20k]", "9k]")
    chosen = best.standing(back).chosen
    assert chosen
    best.begin(back, chosen)
    assert not best.standing(back).to_train
    assert [each.cell for each in read_bests(back.folder).before] == [second.key]


def nothing_to_do(sweep: Sweep, only: str = "", retry: bool = False) -> bool:
    args = run_grid.arguments.argparse.Namespace(only=only, retry_failed=retry)
    return run_grid.nothing_to_do(sweep, args) is not None


def test_there_is_something_to_do_until_the_best_has_ended_and_is_tracked(
    grid: Sweep, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not nothing_to_do(grid)
    cell = begun(grid)
    finish(grid, cell)
    assert not nothing_to_do(grid)
    tracked = json.loads(grid.tracked.read_text())["cells"]
    grid.tracked.write_text(json.dumps({"cells": [*tracked, cell.key]}))
    assert nothing_to_do(grid)


def test_a_best_that_failed_is_tried_again_when_asked(grid: Sweep) -> None:
    cell = begun(grid)
    write_record(grid.cells, replace(ended(cell), status="failed", reason="no", measured={}))
    tracked = json.loads(grid.tracked.read_text())["cells"]
    grid.tracked.write_text(json.dumps({"cells": [*tracked, cell.key]}))
    assert not best.standing(grid).is_well
    assert nothing_to_do(grid)
    assert not nothing_to_do(grid, retry=True)
    assert run_grid.failed(grid, grid.listed()) == [cell.key]


def test_it_goes_where_the_cell_that_it_came_from_goes(
    grid: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = begun(grid)
    finish(grid, cell)
    (grid.best / "config.json").write_text("{}")
    asked = say("y", monkeypatch)
    assert removal.erase(grid, "size=4k")
    assert best.shown(grid)
    assert removal.erase(grid, "size=9k")
    assert asked[-1].startswith("Remove 2 cells")
    assert best.shown(grid) is None
    assert not any(place.exists() for place in (grid.cells / cell.key, grid.best))
    assert not best_file(grid.folder).exists()


def test_a_file_that_cannot_be_read_counts_as_none_and_is_told(
    grid: Sweep, capfd: pytest.CaptureFixture[str]
) -> None:
    best_file(grid.folder).write_text("{}x")
    assert best.shown(grid) is None
    assert "best.json: found no JSON object; remove it" in capfd.readouterr().out


def test_a_grid_without_a_best_has_none(sweep: Sweep) -> None:
    assert best.standing(sweep) == Standing()
    assert Standing().is_well
    assert isinstance(sweep.best, Location)
