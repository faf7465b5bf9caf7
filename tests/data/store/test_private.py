"""What is a user's own is out of others' reach, and nobody can put anything in its place."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data.errors import DataError
from data.store.location import LINKLESS
from data.store.private import private_folder, secret
from tests.strangers import STRANGER, as_root, folder_of_all, mode, stranger


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with folder_of_all() as folder:
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        yield folder


def own(shared: Path) -> Path:
    return shared / f"crescendo-{os.geteuid()}"


def test_the_folder_is_made_once_and_for_its_user_alone(shared: Path) -> None:
    folder = private_folder("data")
    (folder / "kept").write_text("x")
    assert private_folder("data") == folder == own(shared) / "data"
    assert (folder / "kept").exists()
    assert mode(own(shared)) == 0o700


@as_root
def test_two_users_have_a_folder_each_and_neither_reads_the_others(shared: Path) -> None:
    mine = private_folder("data")
    (mine / "file").write_text("mine")
    with stranger():
        theirs = private_folder("data")
        (theirs / "file").write_text("theirs")
        with pytest.raises(PermissionError):
            (mine / "file").read_text()
    assert theirs != mine


def plant_folder(shared: Path) -> None:
    own(shared).mkdir()
    os.chown(own(shared), STRANGER, STRANGER)


def plant_link(shared: Path) -> None:
    (shared / "theirs").mkdir(mode=0o700)
    own(shared).symlink_to(shared / "theirs")


def plant_file(shared: Path) -> None:
    own(shared).write_text("")


def plant_open_folder(shared: Path) -> None:
    own(shared).mkdir()
    own(shared).chmod(0o777)


@pytest.mark.parametrize(
    "plant", [pytest.param(plant_folder, marks=as_root), plant_link, plant_file, plant_open_folder]
)
def test_what_others_may_have_planted_is_refused_in_a_line(
    shared: Path, plant: Callable[[Path], None]
) -> None:
    plant(shared)
    with pytest.raises(DataError, match=r"expected drwx------ of user \d+; remove it, or set TMPD"):
        private_folder("data")
    assert not (own(shared) / "data").exists()


def test_a_secret_is_random_kept_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    word = secret(path)
    assert len(word) == 64
    assert secret(path) == word == path.read_text()
    assert secret(tmp_path / "other") != word
    assert mode(path) == 0o600
    assert os.listdir(path.parent) == ["token"]


@pytest.mark.parametrize("answer", LINKLESS, ids=errno.errorcode.get)
def test_a_secret_is_kept_where_there_are_no_hard_links(
    answer: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", refusing(answer))
    path = tmp_path / "new" / "token"
    word = secret(path)
    assert secret(path) == word == path.read_text()
    assert mode(path) == 0o600
    assert os.listdir(path.parent) == ["token"]


def test_a_secret_that_cannot_be_kept_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", refusing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        secret(tmp_path / "token")
    assert os.listdir(tmp_path) == []


def refusing(answer: int) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise OSError(answer, os.strerror(answer))

    return refuse


def test_a_secret_that_others_could_read_is_kept_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("word\n")
    path.chmod(0o644)
    assert secret(path) == "word"
    assert mode(path) == 0o600


@as_root
def test_a_secret_of_another_user_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("known to a stranger")
    os.chown(path, STRANGER, STRANGER)
    with pytest.raises(DataError, match="belongs to user 65534, expected 0; remove it"):
        secret(path)
