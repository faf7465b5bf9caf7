"""A record becomes a row of what is fitted, whichever version wrote it."""

from __future__ import annotations

from dataclasses import replace

from fitting.contract import SETTINGS
from sweeps.grids import grid
from sweeps.records import row
from tests.trainers.test_records import CELL, RECORD


def test_a_row_speaks_the_names_of_fitting() -> None:
    assert row(RECORD)["arch"] == "lstm"
    assert row(RECORD)["val_loss"] == 1.5


def test_a_row_carries_every_setting_of_the_cell() -> None:
    found = row(RECORD)
    assert {name: found[name] for name in SETTINGS} == {
        name: getattr(CELL, name) for name in SETTINGS
    }
    assert set(SETTINGS) == set(grid.SETTINGS)
    assert "n_layers=1" in found["shape"]


def test_a_record_of_before_a_setting_was_there_is_read() -> None:
    later = ("boundaries", "precision")
    params = {name: value for name, value in CELL.params().items() if name not in later}
    found = row(replace(RECORD, params=params))
    assert "boundaries" not in found
    assert found["precision"] == "fp32"
