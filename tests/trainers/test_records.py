"""A record is whole or absent, and what it holds is checked before anything is done with it."""

from __future__ import annotations

import json
import time
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from data.store.location import Location
from data.store.versioned import VersionError
from trainers.cell import Cell
from trainers.records import (
    Fields,
    Record,
    doubts,
    read_record,
    record_path,
    write_record,
)

CELL = Cell("lstm", "4k", 0, 0.01, 256, 256, 32, 0.1, 1.0, "abc", 139, "print")
POINT = {"tokens": 256, "train_loss": 1.4, "time": 1.5}
RECORD = Record(
    CELL.key,
    "finished",
    "",
    CELL.params(),
    {"val_loss": 1.5, "n_params": 3000},
    [POINT],
    1.0,
    2.0,
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


def written(cells: Location, **changed: Any) -> None:
    text = json.dumps(json.loads(json.dumps(asdict(RECORD))) | changed)
    record_path(cells, CELL.key).write_text(text)


PARAMS = CELL.params()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"status": "fine"}, "found status 'fine', expected"),
        ({"cell_key": "lstm-4k-seed1-0123"}, "found cell_key lstm-4k-seed1-0123, expected lstm-4k"),
        ({"cell_key": "../../x"}, "found cell_key '../../x', expected"),
        ({"measured": {"val_loss": "1.5", "n_params": 1}}, "found measured.val_loss '1.5', "),
        ({"measured": {"val_loss": 1.5}}, "found no n_params, expected more than 0"),
        ({"measured": {"val_loss": float("nan"), "n_params": 1}}, "found val_loss nan, expected"),
        ({"measured": []}, "found measured [], expected"),
        ({"curve": [{"train_loss": 1.0}]}, "found no curve.0.tokens"),
        ({"params": PARAMS | {"seed": "<img src=x>"}}, "found params.seed '<img src=x>', expected"),
        ({"params": PARAMS | {"seed": "x/../../../evil"}}, "found params.seed 'x/../"),
        ({"params": PARAMS | {"seed": "evil"}}, "found params.seed 'evil', expected a valid int"),
        ({"params": PARAMS | {"arch": "a.b"}}, "found params.arch 'a.b', expected"),
        ({"params": PARAMS | {"tokens": -1}}, "found params.tokens -1, expected greater than 0"),
        ({"params": PARAMS | {"<b>": 1}}, "found params.<b>.[key] '<b>', expected"),
        ({"params": {}}, "found no params.arch"),
        ({"ended": "today"}, "found ended 'today', expected a valid number"),
        ({"forecast": "x"}, "found forecast 'x', expected"),
        ({"more": 1}, "found an unknown field more"),
        ({"schema": 99}, "found schema 99, expected at most 2; a newer version wrote it"),
    ],
)
def test_a_record_that_is_none_is_refused_in_a_line_that_says_why(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    written(Location.of(tmp_path), **changed)
    with pytest.raises(VersionError) as caught:
        read_record(Location.of(tmp_path), CELL.key)
    assert f"/record.json: {said}" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_reason_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    written(Location.of(tmp_path), status="failed", reason="\x1b[31m[rank0]")
    record = read_record(Location.of(tmp_path), CELL.key)
    assert record
    assert record.reason == r"\x1b[31m[rank0]"


def test_a_record_that_can_hardly_be_right_is_doubted() -> None:
    assert doubts(RECORD) == []
    assert doubts(replace(RECORD, curve=[])) == []
    (ahead,) = doubts(replace(RECORD, ended=time.time() + 86_400))
    assert ahead == "it ended 24.0 h ahead of this clock"
    (short,) = doubts(replace(RECORD, curve=[POINT | {"tokens": 128}]))
    assert short == "its curve ends at 128 of 256 tokens"
    (lower,) = doubts(replace(RECORD, measured={"val_loss": 0.5, "n_params": 3000}))
    assert lower == "its val_loss is 0.5, and its training ended at 1.4"


def test_files_hold_the_fields_of_a_cell() -> None:
    assert set(Fields.__annotations__) == {field.name for field in fields(Cell)}


def test_a_record_of_before_a_field_was_added_is_read(tmp_path: Path) -> None:
    later = {field.name for field in fields(Cell) if field.default is not MISSING}
    params = {name: value for name, value in PARAMS.items() if name not in later}
    written(Location.of(tmp_path), params=params)
    record = read_record(Location.of(tmp_path), CELL.key)
    assert record
    assert record.params == params
