"""A tar is read from its start once, whatever the number of tasks that read its files."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from data.errors import DataError
from data.notation.musicxml import write as musicxml
from data.sources import containers
from data.sources.containers import Shard
from data.sources.folders import shards
from data.sources.members import Refused
from data.sources.spool import divided, spool, to_spool
from data.store.location import Location
from tests.data.conftest import melody
from tests.data.sources.test_containers import write_folder, write_tar

RNG_BYTES = bytes(range(256)) * 2


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.sources.spool.SMALL", 0)
    monkeypatch.setattr(containers, "FILES", 3)


def read(found: list[Shard]) -> dict[str, bytes | Refused]:
    # As a task has them.
    pairs = [pair for shard in pickle.loads(pickle.dumps(found)) for pair in shard.read()]
    assert len(dict(pairs)) == len(pairs), "a file was read twice"
    return dict(pairs)


def spooled(source: Path, folder: Path) -> list[Shard]:
    found, place = shards(Location.of(source)), Location.of(folder)
    for task in to_spool(found, place):
        spool(*task)
    return divided(found, place)


@pytest.mark.parametrize(("ending", "mode"), [("tar", ""), ("tgz", "gz"), ("tar.xz", "xz")])
def test_its_shards_hold_what_it_holds(ending: str, mode: str, tmp_path: Path) -> None:
    files = {f"album/{number}.mid": bytes([number]) * 9 for number in range(7)}
    files |= {"a.musicxml": musicxml(melody([60, 64, 67])).encode(), "in.zip": b"PK", "b.mxl": b""}
    archive = write_tar(tmp_path / f"a.{ending}", files | {"words.txt": b"no"}, f"w:{mode}")
    found = spooled(archive, tmp_path / "staging")
    assert len(found) == 4
    assert read(found) == read(shards(Location.of(archive)))
    assert {shard.source for shard in found} == {str(archive)}


def test_it_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_tar(tmp_path / "a.tgz", {f"{number}.mid": b"1" for number in range(9)})
    opened = []
    original = containers.streamed

    def counted(path: Location) -> object:
        opened.append(path)
        return original(path)

    monkeypatch.setattr(containers, "streamed", counted)
    assert len(read(spooled(archive, tmp_path / "staging"))) == 9
    assert len(read(spooled(archive, tmp_path / "staging"))) == 9
    assert len(opened) == 1


def test_what_was_not_written_out_to_its_end_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_tar(tmp_path / "a.tgz", {f"{number}.mid": b"1" for number in range(9)})
    whole = archive.read_bytes()
    place, found = Location.of(tmp_path / "staging"), shards(Location.of(archive))
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.tgz is broken"):
        spool(*to_spool(found, place)[0])
    archive.write_bytes(whole)
    assert len(to_spool(found, place)) == 1
    assert len(read(spooled(archive, tmp_path / "staging"))) == 9


def test_what_is_written_out_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "FILES", 100)
    files = {f"{number}.mid": RNG_BYTES * (1 + number % 5) for number in range(200)}
    archive = write_tar(tmp_path / "a.tgz", files)
    spooled(archive, tmp_path / "staging")
    on_disk = sum(file.stat().st_size for file in (tmp_path / "staging").rglob("*.parquet"))
    assert on_disk < sum(map(len, files.values())) / 5


def test_two_of_one_name_and_what_lies_beside_them_stay_apart(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", {"loose.mid": b"l"})
    for name in ("one", "two"):
        (folder / name).mkdir()
        write_tar(folder / name / "a.tgz", {f"{name}.mid": name.encode()})
    found = spooled(folder, tmp_path / "staging")
    assert read(found) == {"loose.mid": b"l", "one.mid": b"one", "two.mid": b"two"}


def test_a_small_one_is_a_shard_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.sources.spool.SMALL", 10_000)
    found = shards(Location.of(write_tar(tmp_path / "a.tgz", {"a.mid": b"1"})))
    assert to_spool(found, Location.of(tmp_path)) == []
    assert divided(found, Location.of(tmp_path)) == found


def test_so_is_one_that_holds_nothing(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tgz", {"words.txt": b"no music"})
    assert spooled(archive, tmp_path / "staging") == shards(Location.of(archive))


def test_so_is_one_of_very_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        write_tar(tmp_path / f"{name}.tgz", {f"{name}.mid": b"1"})
    found, place = shards(Location.of(tmp_path)), Location.of(tmp_path)
    assert len(to_spool(found, place)) == 3
    monkeypatch.setattr("data.sources.spool.ALIKE", 3)
    assert to_spool(found, place) == []
