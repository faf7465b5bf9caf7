"""One process at a time in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import DataError
from data.store.location import Location
from data.store.lock import LOCK, has_ended, held

HOLD = """\
import sys
from data.store.location import Location
from data.store.lock import held
with held(Location(sys.argv[1]), "sweeps there"):
    print("held", flush=True)
    sys.stdin.read()
"""


def mkfifo(lock: Path, mine: Path) -> None:
    os.mkfifo(lock)


def test_a_second_process_is_refused_in_a_line_and_a_killed_one_leaves_no_lock(
    tmp_path: Path,
) -> None:
    folder = Location.of(tmp_path / "new")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataError) as refused, held(folder, "sweeps too"):
            pass
        said = str(refused.value)
        assert said.startswith(f"{folder}: process {holder.pid} on ")
        assert said.endswith(" sweeps there; wait for its end, or use another folder")
        assert not has_ended(folder)
    finally:
        holder.kill()
        holder.communicate()
    assert has_ended(folder)
    with held(folder, "sweeps there"):
        assert str(os.getpid()) in (tmp_path / "new" / LOCK).read_text()


def test_in_a_bucket_nothing_is_held() -> None:
    with held(Location("s3://nowhere/runs"), "sweeps there"):
        pass


@pytest.mark.parametrize(
    "left", [None, "", "process 1 on here", "process 999999999 on elsewhere x"]
)
def test_of_a_process_elsewhere_nothing_is_known(tmp_path: Path, left: str | None) -> None:
    if left is not None:
        (tmp_path / LOCK).write_text(left)
    assert not has_ended(Location.of(tmp_path))


def test_nor_is_anything_known_of_a_process_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    with held(Location.of(tmp_path), "sweeps there"):
        pass
    monkeypatch.setattr(os, "kill", refuse)
    assert not has_ended(Location.of(tmp_path))


@pytest.mark.parametrize("plant", [lambda lock, mine: lock.symlink_to(mine), mkfifo])
def test_what_is_no_file_is_not_taken_for_the_lock(
    tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    """A folder may come from elsewhere, with a link in it that leads to a file of the user's."""
    mine = tmp_path / "mine"
    mine.write_text("a year of work")
    folder = tmp_path / "received"
    folder.mkdir()
    plant(folder / LOCK, mine)
    refused = rf"^{folder / LOCK}: found [lp]\S+, expected a plain file; remove it$"
    with pytest.raises(DataError, match=refused), held(Location.of(folder), "sweeps there"):
        pass
    assert mine.read_text() == "a year of work"
    assert not has_ended(Location.of(folder))
