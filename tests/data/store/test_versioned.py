"""A file is read by its schema, or refused in one line that names it and says what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.store.flat import open_split
from data.store.manifest import SCHEMA, read_manifest
from data.store.versioned import Line, Number, Plain, VersionError, Word, read_versioned


@dataclass(frozen=True)
class Sample:
    name: Word
    said: Line = ""
    counts: tuple[int, ...] = ()
    measured: Number = 0
    more: Plain = ""
    schema: int = 3


def read(folder: Path, **fields: Any) -> Sample:
    (folder / "a.json").write_text(json.dumps({"name": "a"} | fields))
    return read_versioned(folder / "a.json", Sample, 3)


def test_a_file_without_a_schema_is_of_the_first(tmp_path: Path) -> None:
    assert read(tmp_path, counts=[1]) == Sample("a", counts=(1,), schema=1)


@pytest.mark.parametrize("found", [4, 0, "<b>", None, [1], True, 1.0])
def test_another_schema_is_refused_in_one_line(tmp_path: Path, found: Any) -> None:
    with pytest.raises(VersionError, match=r"^.*/a.json: found schema .*, expected at most 3; .*$"):
        read(tmp_path, schema=found)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"3", b"\x00\xff", b'{"name": "\xff"}', b"[" * 100_000]
)
def test_what_is_no_object_is_refused_in_one_line(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(VersionError, match=r"^.*/a.json: found no JSON object; remove it$"):
        read_versioned(tmp_path / "a.json", Sample, 3)


def test_a_folder_in_its_place_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(VersionError, match=r"^.*/a.json: found a folder, expected a file; .*$"):
        read_versioned(tmp_path / "a.json", Sample, 3)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "../x"}, "found name '../x', expected"),
        ({"name": "<b>"}, "found name '<b>', expected"),
        ({"name": ".."}, "found name '..', expected"),
        ({"name": "a\n"}, r"found name 'a\n', expected"),
        ({"name": 1}, "found name 1, expected a valid string"),
        ({"counts": [1, 2.5]}, "found counts.1 2.5, expected a valid integer"),
        ({"measured": "1.5"}, "found measured '1.5', expected a number"),
        ({"measured": 10**30}, f"found measured {10**30}, expected a number"),
        ({"more": "</script>"}, "found more '</script>', expected a number or a word"),
        ({"unknown": 1}, "found an unknown field unknown"),
        ({"said": "x" * 999, "counts": "y" * 999}, "found counts 'yyy"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(VersionError) as caught:
        read(tmp_path, **fields)
    assert f"a.json: {said}" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(VersionError, match=r"/a.json: found no name; remove it$"):
        read_versioned(tmp_path / "a.json", Sample, 3)


def test_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    assert read(tmp_path, said="a\x1b[31m").said == r"a\x1b[31m"


def test_numbers_stay_as_they_are(tmp_path: Path) -> None:
    assert repr(read(tmp_path, measured=3).measured) == "3"
    assert repr(read(tmp_path, measured=float("nan")).measured) == "nan"


def test_data_of_a_newer_version_are_refused(packed: Path, tmp_path: Path) -> None:
    manifest = json.loads((packed / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"schema": SCHEMA + 1}))
    newer = rf"manifest.json: found schema {SCHEMA + 1}, expected at most {SCHEMA}"
    with pytest.raises(VersionError, match=newer):
        read_manifest(tmp_path)


def test_a_fingerprint_names_no_other_folder(packed: Path, tmp_path: Path) -> None:
    manifest = json.loads((packed / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"fingerprint": "../../x"}))
    with pytest.raises(VersionError, match=r"manifest.json: found fingerprint '../../x', expected"):
        read_manifest(tmp_path)


def test_pieces_of_data_that_kept_no_groups_have_one_each(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    for path in (packed / "packed").glob("val.*"):
        if "groups" not in path.name:
            (tmp_path / "packed" / path.name).symlink_to(path)
    assert open_split(tmp_path, "val").groups.tolist() == list(range(20))
    assert np.array_equal(open_split(tmp_path, "val").starts, open_split(packed, "val").starts)
