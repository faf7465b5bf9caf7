"""A file says by which schema it was written, and is read or refused by that."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError
from data.store.flat import open_split
from data.store.manifest import read_manifest
from data.store.versioned import VersionError, read_versioned


def test_a_file_without_a_schema_is_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"b": 1}')
    assert read_versioned(tmp_path / "a.json", 3) == {"b": 1, "schema": 1}


@pytest.mark.parametrize("found", ["4", "0", '"<b>"', "null", "[1]"])
def test_another_schema_is_refused_in_one_line(tmp_path: Path, found: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"schema": {found}}}')
    with pytest.raises(VersionError, match=r"^.*/a.json: found schema .*, expected at most 3; .*$"):
        read_versioned(path, 3)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00"])
def test_what_is_no_object_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(VersionError, match=r"^.*/a.json: found no JSON object; .*$"):
        read_versioned(tmp_path / "a.json", 3)


def test_data_of_a_newer_version_are_refused(packed: Path, tmp_path: Path) -> None:
    manifest = json.loads((packed / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"schema": 3}))
    with pytest.raises(DataError, match=r"manifest.json: found schema 3, expected at most 2"):
        read_manifest(tmp_path)


def test_pieces_of_data_that_kept_no_groups_have_one_each(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    for path in (packed / "packed").glob("val.*"):
        if "groups" not in path.name:
            (tmp_path / "packed" / path.name).symlink_to(path)
    assert open_split(tmp_path, "val").groups.tolist() == list(range(20))
    assert np.array_equal(open_split(tmp_path, "val").starts, open_split(packed, "val").starts)
