"""What was expected stays as it was when a cell began; what only a running sweep sees is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data.store.location import Location
from sweeps.scheduling.ledger import (
    Expected,
    Ledger,
    Stretch,
    forget,
    ledger_file,
    priced,
    read_ledger,
    write_ledger,
)
from sweeps.scheduling.paid import Twice
from tests.trainers.test_records import RECORD

OF_A = Expected(60.0, 0.0, 2.0, 100.0)
LATER = replace(OF_A, seconds=90.0, at=200.0)
KEY = RECORD.cell_key


def test_a_cell_that_goes_on_is_held_to_what_was_expected_first() -> None:
    first = Ledger().begun({"a": OF_A}, 30.0, "a guess", 100.0).ended(150.0)
    second = first.begun({"a": LATER, "b": LATER}, 40.0, "cells before", 200.0)
    assert second.cells == {"a": OF_A, "b": LATER}
    assert second.wall == 70.0
    assert second.basis == "cells before"
    assert second.begun({}, 0.0, "", 300.0).basis == "cells before"


def test_a_sweep_that_was_killed_was_at_work_until_it_was_last_seen() -> None:
    killed = Ledger().begun({"a": OF_A}, 30.0, "", 100.0)
    assert killed.ended(140.0).ran == [Stretch(100.0, 140.0)]
    # It was not seen at all.
    assert killed.ended(0.0).ran == [Stretch(100.0, 100.0)]
    ended = killed.ended(150.0)
    assert ended.ended(999.0) == ended
    assert Ledger().ended(5.0) == Ledger()


def test_a_tracker_that_was_lost_takes_nothing_away() -> None:
    known = Ledger().with_again({"a": Twice(500, 5.0), "b": Twice(0, 0.0)})
    assert known.again == {"a": Twice(500, 5.0)}
    assert known.with_again({"a": Twice(100, 1.0)}) == known
    assert known.with_again({"a": Twice(700, 7.0)}).again == {"a": Twice(700, 7.0)}


def test_the_bill_is_of_what_the_ledger_says_a_cell_holds() -> None:
    record = replace(RECORD, started=100.0, ended=3700.0, curve=[])
    ledger = Ledger({KEY: OF_A}, ran=[Stretch(0.0, 50.0), Stretch(60.0, 70.0)], wall=30.0)
    bill = ledger.with_again({KEY: Twice(256, 1800.0)}).bill([record])
    assert not bill.gpus
    assert bill.hours == 3.0
    assert (bill.wall, bill.expected_wall) == (60.0, 30.0)
    on_gpus = Ledger({KEY: replace(OF_A, gpus=0.5)}, gpu_price=4.0).bill([record])
    assert on_gpus.cost(on_gpus.hours) == 2.0


@pytest.mark.parametrize(
    ("on", "hours", "unit"),
    [
        ({}, 1.0, "core-hours"),
        ({"device": "cpu", "threads": 2, "workers": 3}, 6.0, "core-hours"),
        ({"device": "NVIDIA H100", "threads": 8, "workers": 2}, 2.0, "GPU-hours"),
    ],
)
def test_a_cell_of_which_nothing_was_expected_holds_what_it_ran_on(
    on: dict, hours: float, unit: str
) -> None:
    record = replace(RECORD, started=100.0, ended=3700.0, curve=[], ran_on=on)
    bill = Ledger().bill([record])
    assert (bill.hours, bill.unit) == (hours, unit)
    assert bill.compared == []


def test_the_file_comes_back_and_a_wrong_one_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Location.of(tmp_path)
    assert read_ledger(folder) == Ledger()
    kept = Ledger({KEY: OF_A}, "a guess", 30.0, None, [Stretch(1.0, 2.0)], {KEY: Twice(1, 1.0)})
    write_ledger(folder, kept)
    assert read_ledger(folder) == kept
    ledger_file(folder).write_text('{"wall": -1}')
    assert read_ledger(folder) == Ledger()
    assert "ledger.json: found wall -1" in capfd.readouterr().out


def test_a_price_is_kept_and_none_changes_nothing(tmp_path: Path) -> None:
    folder = Location.of(tmp_path)
    priced(folder, None)
    assert not ledger_file(folder).exists()
    priced(folder, 2.5)
    priced(folder, None)
    assert read_ledger(folder).gpu_price == 2.5


def test_of_a_cell_that_was_removed_nothing_is_expected(tmp_path: Path) -> None:
    folder = Location.of(tmp_path)
    forget(folder, {"a"})
    assert not ledger_file(folder).exists()
    write_ledger(folder, Ledger({"a": OF_A, "b": OF_A}, again={"a": Twice(1, 1.0)}))
    forget(folder, {"a"})
    assert read_ledger(folder) == Ledger({"b": OF_A})
