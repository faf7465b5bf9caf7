"""A record is whole or absent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data.store.location import Location
from data.store.versioned import VersionError
from fitting.contract import SETTINGS
from sweeps import grid
from sweeps.records import Record, read_record, record_path, write_record
from trainers.cell import Cell

CELL = Cell("lstm", "4k", 0, 0.01, 256, 256, 32, 0.1, 1.0, "abc", 139, "print")
RECORD = Record(
    CELL.key, "finished", "", CELL.params(), {"val_loss": 1.5}, [{"tokens": 256}], 1.0, 2.0
)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    cells = Location.of(tmp_path)
    assert read_record(cells, CELL.key) is None
    write_record(cells, RECORD)
    assert read_record(cells, CELL.key) == RECORD


def test_a_row_speaks_the_names_of_fitting() -> None:
    assert RECORD.row()["arch"] == "lstm"
    assert RECORD.row()["val_loss"] == 1.5


def test_a_row_carries_every_setting_of_the_cell() -> None:
    row = RECORD.row()
    assert {name: row[name] for name in SETTINGS} == {
        name: getattr(CELL, name) for name in SETTINGS
    }
    assert set(SETTINGS) == set(grid.SETTINGS)
    assert "n_layers=1" in row["shape"]


def test_a_record_of_before_a_setting_was_there_is_read() -> None:
    later = ("boundaries", "precision")
    params = {name: value for name, value in CELL.params().items() if name not in later}
    row = replace(RECORD, params=params).row()
    assert "boundaries" not in row
    assert row["precision"] == "fp32"


def test_a_record_of_before_schemas_is_of_the_first(tmp_path: Path) -> None:
    cells = Location.of(tmp_path)
    write_record(cells, RECORD)
    values = json.loads(record_path(cells, CELL.key).read_text())
    del values["schema"], values["ran_on"], values["forecast"]
    record_path(cells, CELL.key).write_text(json.dumps(values))
    assert read_record(cells, CELL.key) == replace(RECORD, schema=1)


def test_a_record_of_a_newer_version_is_refused_in_one_line(tmp_path: Path) -> None:
    cells = Location.of(tmp_path)
    write_record(cells, replace(RECORD, schema=3))
    with pytest.raises(VersionError, match=r"/record.json: found schema 3, expected at most 2"):
        read_record(cells, CELL.key)
