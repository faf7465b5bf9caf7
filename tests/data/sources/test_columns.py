"""MIDI in a column of Parquet is read as files are; other Parquet is no music."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from data.sources import members
from data.sources.columns import shards
from data.sources.folders import shards as folder_shards
from data.sources.members import Refused
from data.store.location import Location

FILES = {f"{number:032x}": bytes([number]) * 10 for number in range(5)}


def write(path: Path, music: pa.Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"md5": list(FILES), "music": music}), path, row_group_size=2)
    return path


def read(path: Path) -> dict[str, bytes | Refused]:
    return dict(pair for shard in shards(Location.of(path)) for pair in shard.read())


@pytest.mark.parametrize("as_files", [False, True])
def test_a_row_group_is_the_work_of_one_task(as_files: bool, tmp_path: Path) -> None:
    music = pa.array(list(FILES.values()), pa.binary())
    if as_files:
        paths = pa.array([f"/cache/{name}.mid" for name in FILES])
        music = pa.StructArray.from_arrays([music, paths], ["bytes", "path"])
    path = write(tmp_path / "a.parquet", music)
    assert len(shards(Location.of(path))) == 3
    assert read(path) == {f"{name}.mid": content for name, content in FILES.items()}


def test_a_row_without_a_file_and_one_too_large_have_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MAX_BYTES", 100)
    music = pa.array([None, bytes(101), b"a", b"b", b"c"], pa.binary())
    found = read(write(tmp_path / "a.parquet", music))
    refused = [each for each in found.values() if isinstance(each, Refused)]
    assert [each.detail for each in refused] == [
        "its row holds no file",
        "it has 101 bytes, more than 100",
    ]
    assert len(found) == 5


def test_a_folder_is_read_with_the_parquet_in_it(tmp_path: Path) -> None:
    write(tmp_path / "v2" / "train" / "a.parquet", pa.array(list(FILES.values()), pa.binary()))
    pq.write_table(pa.table({"path": ["a.mid"], "work": ["b"]}), tmp_path / "facts.parquet")
    (tmp_path / "loose.mid").write_bytes(b"l")
    found = dict(pair for shard in folder_shards(Location.of(tmp_path)) for pair in shard.read())
    assert found == {"loose.mid": b"l"} | {f"{name}.mid": each for name, each in FILES.items()}


def test_what_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match=r"a\.parquet is no Parquet"):
        shards(Location.of(tmp_path / "a.parquet"))
