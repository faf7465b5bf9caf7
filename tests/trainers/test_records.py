"""A record is whole or absent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data.store.location import Location
from data.store.versioned import VersionError
from trainers.cell import Cell
from trainers.records import Record, read_record, record_path, write_record

CELL = Cell("lstm", "4k", 0, 0.01, 256, 256, 32, 0.1, 1.0, "abc", 139, "print")
RECORD = Record(
    CELL.key, "finished", "", CELL.params(), {"val_loss": 1.5}, [{"tokens": 256}], 1.0, 2.0
)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    cells = Location.of(tmp_path)
    assert read_record(cells, CELL.key) is None
    write_record(cells, RECORD)
    assert read_record(cells, CELL.key) == RECORD


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
