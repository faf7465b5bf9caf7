"""A folder and a bucket are read and written alike, and never half."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from data.store.flat import local_copy, open_split, write_split
from data.store.location import Location, patiently
from data.store.manifest import MANIFEST


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "folder":
        return Location.of(tmp_path)
    return Location.of(f"s3://{request.getfixturevalue('bucket')}/{uuid.uuid4().hex}")


def test_what_is_written_is_read(place: Location) -> None:
    file = place / "cells" / "a" / "record.json"
    assert not file.exists()
    file.write_text("{}")
    assert file.exists()
    assert file.read_text() == "{}"
    with file.open() as stream:
        assert stream.read(1) == b"{"


def test_children_come_in_order_and_a_folder_that_is_not_there_has_none(place: Location) -> None:
    for name in ("b", "a", "c"):
        (place / "folder" / name).write_bytes(b"")
    assert [child.name for child in (place / "folder").children()] == ["a", "b", "c"]
    assert (place / "folder").children()[0].parent == place / "folder"
    assert (place / "gone").children() == []


def test_what_is_deleted_is_gone_and_may_have_been_before(place: Location) -> None:
    (place / "folder" / "file").write_text("x")
    (place / "folder" / "file").delete()
    assert not (place / "folder" / "file").exists()
    (place / "folder" / "file").delete()
    (place / "folder" / "other").write_text("x")
    (place / "folder").delete()
    assert not (place / "folder" / "other").exists()


def test_a_block_that_raises_writes_nothing(place: Location) -> None:
    def fail_half_way() -> None:
        with (place / "file").writing() as path:
            path.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail_half_way()
    assert place.children() == []


def test_what_a_killed_process_half_wrote_is_no_child(place: Location) -> None:
    (place / "folder" / f".{uuid.uuid4().hex}.part").write_text("half")
    (place / "folder" / "part").write_text("whole")
    assert [child.name for child in (place / "folder").children()] == ["part"]


def test_a_file_is_taken_and_stays_when_the_other_goes(place: Location, tmp_path: Path) -> None:
    other = Location.of(tmp_path / "other" / "file")
    other.write_text("whole")
    (place / "parts" / "file").take(other)
    (place / "parts" / "file").take(other)
    other.delete()
    assert (place / "parts" / "file").read_text() == "whole"


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EPERM])
def test_a_file_is_copied_where_no_link_can_be(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(error, "no link")

    monkeypatch.setattr(os, "link", refused)
    Location.of(tmp_path / "a").write_text("whole")
    Location.of(tmp_path / "b").take(Location.of(tmp_path / "a"))
    assert (tmp_path / "b").read_text() == "whole"


def test_a_folder_is_written_with_all_that_is_in_it(place: Location) -> None:
    with (place / "report").writing_folder() as folder:
        (folder / "plots").mkdir()
        (folder / "plots" / "a.svg").write_text("<svg/>")
    assert (place / "report" / "plots" / "a.svg").read_text() == "<svg/>"


def test_a_process_killed_while_it_writes_leaves_no_half_file(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from data.store.location import Location, patiently\n"
        "with Location.of(sys.argv[1]).writing() as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "file")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "file").exists()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"crescendo-{os.geteuid()}" / "data"


def test_a_node_copies_a_data_set_from_a_bucket_once(
    bucket: str, packed: Path, cache: Path
) -> None:
    folder = Location.of(f"s3://{bucket}/{uuid.uuid4().hex}")
    (folder / MANIFEST).write_bytes((packed / MANIFEST).read_bytes())
    (folder / "tokenizer.json").write_text("{}")
    here = open_split(packed, "val")
    write_split(folder, "val", here.tokens, np.diff(here.starts), here.num_notes, here.seconds)
    copy = local_copy(folder)
    assert open_split(copy, "val").tokens.tolist() == here.tokens.tolist()
    assert (copy / "tokenizer.json").read_text() == "{}"
    assert [child.name for child in cache.iterdir()] == ["fake"]
    (folder / "packed").delete()
    assert local_copy(folder) == copy


def test_a_data_set_on_disk_is_not_copied(packed: Path) -> None:
    assert local_copy(Location.of(packed)) == packed


def test_a_write_waits_for_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    full = [OSError(errno.ENOSPC, "No space left on device")] * 3

    def write() -> str:
        if full:
            raise full.pop()
        return "written"

    assert patiently(write) == "written"


def test_a_write_that_is_refused_does_not_wait() -> None:
    tries = []

    def write() -> None:
        tries.append(1)
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        patiently(write)
    assert len(tries) == 1


def test_a_disk_that_stays_full_is_an_error() -> None:
    def write() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        patiently(write, seconds=0)


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def sync(file: int) -> None:
        done.append("synced")
        fsync(file)

    def name(before: Path, after: Path) -> None:
        done.append("named")
        replace(before, after)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", name)
    Location.of(tmp_path / "record.json").write_text("{}")
    assert done == ["synced", "named"]


def test_tokens_are_given_their_room_before_they_are_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    none = np.zeros(1)
    with pytest.raises(OSError, match="No space"):
        write_split(Location.of(tmp_path), "val", np.zeros(3, np.uint16), np.array([3]), none, none)
    assert not list(tmp_path.glob("packed/*tokens*"))
