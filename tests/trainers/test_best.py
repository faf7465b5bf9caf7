"""What "the best" of a sweep means to whoever composes, exports or shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data.store.location import Location
from tests.conftest import CELL
from trainers.best import Best, Bests, best_file, in_epochs, lowest, read_bests, write_bests
from trainers.cell import Cell
from trainers.chosen import choose
from trainers.records import Record, write_record
from trainers.samples.cells import Trained, finished


def write(sweep: Location, cell: Cell, val_loss: float) -> None:
    measured = {"n_params": cell.rung.counts.n_params, "val_loss": val_loss}
    record = Record(cell.key, "finished", "", cell.params(), measured, [], 1.0, 2.0)
    write_record(sweep / "cells", record)


LONGER = replace(CELL, tokens=3 * CELL.tokens)
LONGEST = replace(CELL, tokens=4 * CELL.tokens)


@pytest.fixture
def sweep(tmp_path: Path) -> Location:
    """Two cells of a grid, of which the larger has overtaken the best that was trained on."""
    folder = Location.of(tmp_path)
    write(folder, CELL, 1.5)
    write(folder, replace(CELL, size="6k"), 1.2)
    write(folder, LONGER, 1.3)
    return folder


def shown(cell: Cell) -> Best:
    return Best(cell.key, CELL.key, 3, cell.tokens)


def cells(sweep: Location) -> dict[str, Trained]:
    return {one.name: one for one in finished(sweep / "cells")}


def test_the_lowest_loss_is_the_best_and_of_equals_the_first() -> None:
    assert lowest({"a": 1.2, "c": 1.1, "b": 1.1}) == "c"


def test_the_best_has_a_name_of_its_own_and_leaves_others_theirs(sweep: Location) -> None:
    write_bests(sweep, Bests(shown(LONGER)))
    found = cells(sweep)
    assert set(found) == {
        "transformer-4k-seed0",
        "transformer-6k-seed0",
        "transformer-4k-seed0-best",
    }
    assert found["transformer-4k-seed0-best"].note == "best, 3 epochs"
    assert {one.note for name, one in found.items() if not name.endswith("-best")} == {""}


def test_what_was_trained_on_is_meant_by_the_best_and_without_it_the_lowest_loss(
    sweep: Location,
) -> None:
    def best() -> str:
        (one,) = choose(finished(sweep / "cells"), None, best=True)
        return one.name

    assert best().startswith("transformer-6k-")
    write_bests(sweep, Bests(shown(LONGER)))
    assert best() == "transformer-4k-seed0-best"


def test_a_best_that_has_not_finished_is_not_meant(sweep: Location) -> None:
    write_bests(sweep, Bests(shown(LONGEST)))
    (one,) = choose(finished(sweep / "cells"), None, best=True)
    assert one.cell.size == "6k"


def test_what_was_best_before_is_shown_no_more(sweep: Location) -> None:
    write(sweep, LONGEST, 1.1)
    write_bests(sweep, Bests(shown(LONGEST), [shown(LONGER)]))
    assert LONGER.key not in {one.cell.key for one in cells(sweep).values()}
    assert len(cells(sweep)) == 3


def test_a_file_that_cannot_be_read_is_told_and_counts_as_none(
    sweep: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    best_file(sweep).write_text('{"shown": {"cell": "../x"}}')
    assert {one.note for one in cells(sweep).values()} == {""}
    assert "best.json: found shown.cell '../x'" in capsys.readouterr().err


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder, bests = Location.of(tmp_path), Bests(shown(LONGER), [shown(LONGEST)])
    assert read_bests(folder) == Bests()
    write_bests(folder, bests)
    assert read_bests(folder) == bests


def test_one_epoch_is_one() -> None:
    assert [in_epochs(number) for number in (1, 0.5, 3.0)] == ["1 epoch", "0.5 epochs", "3 epochs"]
