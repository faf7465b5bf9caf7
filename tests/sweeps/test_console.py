"""What the user does not see of a sweep goes to a file, and to no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import DataError
from sweeps.console import quiet


def test_what_libraries_print_is_kept_for_later(tmp_path: Path) -> None:
    log = tmp_path / "new" / "libraries.log"
    for word in ("first", "second"):
        with quiet(log, verbose=False):
            print(word)
    assert log.read_text() == "first\nsecond\n"


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    mine, log = tmp_path / "mine", tmp_path / "libraries.log"
    log.symlink_to(mine)
    with (
        pytest.raises(DataError, match=r"libraries\.log: found l.*, expected a plain file; remove"),
        quiet(log, verbose=False),
    ):
        print("over the user's file")
    assert not mine.exists()
