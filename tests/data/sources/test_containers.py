"""Whatever holds MIDI is read alike; what is dangerous or no music is refused with its reason."""

from __future__ import annotations

import bz2
import errno
import gc
import gzip
import io
import itertools
import lzma
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from data.errors import DataError
from data.music.files import from_midi
from data.notation.musicxml import write
from data.sources import containers, folders, members
from data.sources.folders import shards
from data.sources.members import Refused
from data.store.location import Location
from tests.data.conftest import melody, same_music

FILES = {f"album/{number:02d}.mid": bytes([number]) * 100 for number in range(7)}
OTHERS = {"readme.txt": b"words", "cover.png": b"picture"}


def read(path: Path | Location) -> dict[str, bytes | Refused]:
    place = path if isinstance(path, Location) else Location.of(path)
    pairs = [pair for shard in shards(place) for pair in shard.read()]
    assert len(dict(pairs)) == len(pairs), "a file was read twice"
    return dict(pairs)


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def test_every_kind_of_source_hands_on_the_same_files(tmp_path: Path) -> None:
    everything = FILES | OTHERS
    kinds = [
        write_tar(tmp_path / "a.tar.gz", everything),
        write_tar(tmp_path / "a.tar", everything, "w"),
        write_zip(tmp_path / "a.zip", everything),
        write_folder(tmp_path / "folder", everything),
    ]
    for source in kinds:
        assert read(source) == FILES, source.name


def test_the_files_of_a_task_are_few_at_first_and_never_ever_more() -> None:
    few = list(containers.portions((number, 10) for number in range(300)))
    assert [len(each) for each in few] == [125, 125, 50]
    assert [len(each) for each in containers.portions([("a", 2**19)] * 3)] == [2, 1]
    many = [len(each) for each in containers.portions((0, 10) for _ in range(2_000_000))]
    assert sum(many) == 2_000_000
    assert len(many) < 2_000
    assert max(many) == 2_000
    assert len(next(containers.portions(((0, 10) for _ in range(999)), made=256))) == 250
    large = containers.portions((0, 2**20) for _ in range(20_000))
    assert max(map(len, large)) == 16


def test_a_few_hundred_loose_or_zipped_files_are_several_tasks(tmp_path: Path) -> None:
    files = {f"{number:03d}.mid": b"1" for number in range(300)}
    folder = shards(Location.of(write_folder(tmp_path / "folder", files)))
    zipped = shards(Location.of(write_zip(tmp_path / "a.zip", files)))
    assert [len(list(shard.read())) for shard in folder] == [125, 125, 50]
    assert [len(list(shard.read())) for shard in zipped] == [125, 125, 50]


def test_a_listing_of_many_files_is_small(tmp_path: Path) -> None:
    names = [f"folder/{number:032x}.mid" for number in range(2_000)]
    shard = folders.Files.of(Location.of(tmp_path), names)
    assert shard.members == names
    assert len(shard.packed) < 15 * len(names)


def test_a_prefix_of_a_bucket_is_read_like_a_folder(bucket: str, tmp_path: Path) -> None:
    prefix = Location.of(f"s3://{bucket}/midi")
    for name, content in (FILES | OTHERS).items():
        (prefix / name).write_bytes(content)
    archive = write_zip(tmp_path / "more.zip", {"in-zip.mid": b"z"})
    (prefix / "more.zip").write_bytes(archive.read_bytes())
    assert read(prefix) == FILES | {"in-zip.mid": b"z"}


def test_archives_in_a_folder_are_read_with_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", {"loose.mid": b"l"})
    write_zip(folder / "a.zip", {"in-zip.mid": b"z"})
    write_tar(folder / "b.tgz", {"in-tar.MID": b"t"})
    assert read(folder) == {"loose.mid": b"l", "in-zip.mid": b"z", "in-tar.MID": b"t"}


@pytest.mark.parametrize("name", ["/etc/a.mid", "../a.mid", "b/../../a.mid", "C:\\a.mid"])
def test_a_member_whose_path_leads_out_of_the_archive_is_refused(name: str, tmp_path: Path) -> None:
    for archive in (
        write_tar(tmp_path / "a.tar", {name: b"1", "good.mid": b"2"}, "w"),
        write_zip(tmp_path / "a.zip", {name: b"1", "good.mid": b"2"}),
    ):
        found = read(archive)
        assert found.pop("good.mid") == b"2"
        ((_, refused),) = found.items()
        assert refused == Refused("refused", "its path leads out of the archive")


def test_a_bomb_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MAX_BYTES", 1000)
    bomb = {"bomb.mid": bytes(5_000_000), "good.mid": b"2"}
    for source in (
        write_tar(tmp_path / "a.tar.gz", bomb),
        write_zip(tmp_path / "a.zip", bomb),
        write_folder(tmp_path / "folder", bomb),
    ):
        found = read(source)
        assert found["good.mid"] == b"2"
        refused = found["bomb.mid"]
        assert isinstance(refused, Refused)
        assert "more than 1,000" in refused.detail


def test_links_and_folders_that_end_like_music_are_not_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("link.mid")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        folder = tarfile.TarInfo("folder.mid")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    found = read(tmp_path / "a.tar")
    assert found == {"link.mid": Refused("refused", "it is a link")}


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.zip"])
def test_a_broken_archive_is_named(name: str, tmp_path: Path) -> None:
    write = write_zip if name == "a.zip" else write_tar
    whole = write(tmp_path / name, FILES)
    whole.write_bytes(whole.read_bytes()[:150])
    with pytest.raises(DataError, match=name):
        read(whole)


def test_what_holds_nothing_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.txt").write_text("no music")
    for path, message in (
        ("empty", "is empty"),
        ("gone", "no source at"),
        ("words.txt", "is no tar, zip or folder"),
    ):
        with pytest.raises(DataError, match=message):
            shards(Location.of(tmp_path / path))


def test_links_that_lead_back_neither_end_nor_double_a_source(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", FILES)
    for name in ("again", "album/once-more"):
        (folder / name).symlink_to(folder)
    (folder / "nowhere.mid").symlink_to(tmp_path / "gone.mid")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "linked.mid").write_bytes(b"l")
    (folder / "z").symlink_to(elsewhere)
    assert read(folder) == FILES | {"z/linked.mid": b"l"}


def test_a_name_that_is_no_utf_8_is_read_and_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.mid")).write_bytes(b"f")
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        entry = tarfile.TarInfo("caf\xe9.mid")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"t"))
    assert read(folder) == {r"caf\xe9.mid": b"f"}
    assert read(archive) == {r"caf\xe9.mid": b"t"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_refused_whatever_its_compression(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("bad.mid", bytes(range(256)) * 8)
        archive.writestr("good.mid", b"2")
    raw = bytearray(path.read_bytes())
    # After the local header, the name and, with LZMA, the properties.
    at = 30 + len("bad.mid") + 12
    raw[at : at + 40] = bytes(40)
    path.write_bytes(raw)
    found = read(path)
    assert found["good.mid"] == b"2"
    assert isinstance(found["bad.mid"], Refused)
    assert found["bad.mid"].detail.startswith("it cannot be unpacked: ")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo("long")
        entry.type, entry.size = kind, 64 * 2**20
        tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    tracemalloc.start()
    with pytest.raises(DataError, match="headers of 67,108,864 bytes"):
        read(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * 2**20


def test_a_folder_of_abc_gives_a_file_for_each_tune(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text("X:1\nK:C\nCDE|\n\nX:2\nK:C\nm:x\nC|\n")
    ((first, midi), (second, refused)) = [
        member for shard in shards(Location.of(tmp_path)) for member in shard.read()
    ]
    assert (first, second) == ("a.abc/0001.mid", "a.abc/0002.mid")
    assert isinstance(midi, bytes)
    assert from_midi(midi, 24).pitch.tolist() == [60, 62, 64]
    assert isinstance(refused, Refused)
    assert refused.detail.startswith("line 3: a macro")


def test_abc_beside_midi_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text("X:1\nK:C\nCDE|\n")
    (tmp_path / "a.mid").write_bytes(b"MThd")
    assert [path for shard in shards(Location.of(tmp_path)) for path, _ in shard.read()] == [
        "a.mid"
    ]


def write_headers(path: Path, kind: bytes, count: int, size: int, *, member: bool) -> Path:
    """An archive of extended headers, each with a value of so many bytes under a name of its own,
    and each followed by a member, or one by the other."""
    with tarfile.open(path, "w:gz") as tar:
        for number in range(count):
            record = f"k{number:06d}=".encode() + bytes([97]) * size + b"\n"
            length = len(record) + 1
            length += len(str(length + len(str(length))))
            header = tarfile.TarInfo("header")
            content = f"{length} ".encode() + record
            header.type, header.size = kind, len(content)
            tar.addfile(header, io.BytesIO(content))
            if member:
                tar.addfile(tarfile.TarInfo(f"{number}.mid"))
    return path


def test_the_members_of_a_tar_are_not_kept(tmp_path: Path) -> None:
    """Each has its headers with it."""
    path = write_headers(tmp_path / "a.tar.gz", tarfile.XHDTYPE, 300, 50_000, member=True)
    members = containers.Tar(Location.of(path)).read()
    assert len(list(itertools.islice(members, 299))) == 299
    kept = sum(isinstance(each, containers._Entry) for each in gc.get_objects())
    assert next(members) == ("299.mid", b"")
    assert kept < 10


def test_headers_for_a_whole_tar_are_bounded_together(tmp_path: Path) -> None:
    path = write_headers(tmp_path / "a.tar.gz", tarfile.XGLTYPE, 30, 50_000, member=True)
    with pytest.raises(DataError, match=r"a\.tar\.gz is broken: headers of 1,0\d\d,\d{3} bytes"):
        read(path)


@pytest.mark.parametrize(("count", "size"), [(30, 50_000), (2_000, 1)])
def test_headers_without_end_are_refused(tmp_path: Path, count: int, size: int) -> None:
    path = write_headers(tmp_path / "a.tar.gz", tarfile.XHDTYPE, count, size, member=False)
    with pytest.raises(DataError, match=r"a\.tar\.gz is broken: (headers of|maximum recursion)"):
        read(path)


@pytest.mark.parametrize(
    "name", ["Air: from the Suite.mid", "Op. 5: no. 2/first.mid", "d/A: x.mid"]
)
def test_a_colon_in_a_title_is_no_drive(name: str, tmp_path: Path) -> None:
    assert read(write_zip(tmp_path / "a.zip", {name: b"1"})) == {name: b"1"}


@pytest.mark.parametrize(("ending", "mode"), [("tgz", "gz"), ("tar.bz2", "bz2"), ("txz", "xz")])
def test_a_packed_tar_that_ends_between_two_members_is_broken(
    ending: str, mode: str, tmp_path: Path
) -> None:
    """Python's own reader would give the members before."""
    plain = write_tar(tmp_path / "a.tar", FILES, "w").read_bytes()[:2048]
    packers: dict[str, Any] = {"gz": gzip, "bz2": bz2, "xz": lzma}
    pack = packers[mode].compress
    (tmp_path / f"a.{ending}").write_bytes(pack(plain)[:-9])
    with pytest.raises(DataError, match="is broken"):
        read(tmp_path / f"a.{ending}")


@pytest.mark.parametrize(("ending", "mode"), [("TAR.GZ", "gz"), ("tar.bz2", "bz2"), ("txz", "xz")])
def test_a_tar_is_read_however_it_is_packed_and_named(
    ending: str, mode: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    archive = write_tar(folder / f"a.{ending}", FILES, f"w:{mode}")
    assert read(archive) == read(folder) == FILES


def sources(tmp_path: Path, files: dict[str, bytes]) -> list[Path]:
    """The files in archives of both kinds, and loose."""
    return [
        write_tar(tmp_path / "a.tar", files, "w"),
        write_zip(tmp_path / "a.zip", files),
        write_folder(tmp_path / "folder", files),
    ]


def test_karaoke_riff_and_packed_midi_are_midi(tmp_path: Path) -> None:
    packed = gzip.compress(b"packed")
    files = {"a.KAR": b"k", "b.rmi": b"r", "c.mid.gz": packed, "d.mid.gz": packed[:-9]}
    cut = Refused("refused", "it cannot be unpacked: it ends early")
    for source in sources(tmp_path, files):
        assert read(source) == {
            "a.KAR": b"k",
            "b.rmi": b"r",
            "c.mid.gz": b"packed",
            "d.mid.gz": cut,
        }


def test_musicxml_is_played_as_midi_and_what_is_none_has_a_reason(tmp_path: Path) -> None:
    score = melody([60, 64, 67])
    files = {"a.musicxml": write(score).encode(), "b.mxl": b"PK", "c.musicxml": b"MThd"}
    for source in sources(tmp_path, files):
        found = read(source)
        midi = found.pop("a.musicxml")
        assert isinstance(midi, bytes)
        assert same_music(from_midi(midi, 24), score)
        assert [each.reason for each in found.values() if isinstance(each, Refused)] == [
            "unreadable",
            "unreadable",
        ]


def test_an_archive_within_an_archive_has_a_reason(tmp_path: Path) -> None:
    inner = {"in.zip": b"PK", "in.tar.gz": b"x", "a.mid": b"1"}
    within = Refused("refused", "it is an archive within an archive; unpack it")
    for archive in sources(tmp_path, inner)[:2]:
        assert read(archive) == {"in.zip": within, "in.tar.gz": within, "a.mid": b"1"}


def test_a_zip_that_is_none_is_refused_and_the_folder_around_it_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", {"a.mid": b"1", "b.zip": b""})
    found = read(folder)
    assert found.pop("a.mid") == b"1"
    refused = found["b.zip"]
    assert isinstance(refused, Refused)
    assert "b.zip of 0 bytes is no zip" in refused.detail


def test_an_archive_without_music_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.zip holds no MIDI file"):
        read(write_zip(tmp_path / "a.zip", OTHERS))


def test_a_file_that_went_or_may_not_be_read_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = shards(Location.of(write_folder(tmp_path / "folder", FILES)))
    gone = "album/03.mid"
    (tmp_path / "folder" / gone).unlink()
    found = dict(pair for shard in listed for pair in shard.read())
    assert found.pop(gone) == Refused("refused", "it cannot be opened: No such file or directory")
    assert found == {name: content for name, content in FILES.items() if name != gone}

    def forbidden(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(folders.os, "scandir", forbidden)
    with pytest.raises(DataError, match="folder cannot be listed: Permission denied"):
        shards(Location.of(tmp_path / "folder"))
