"""What a disk or a folder answers comes with what to do."""

from __future__ import annotations

from data.errors import with_remedy


def test_what_to_do_is_said_where_it_is_known() -> None:
    assert with_remedy(PermissionError(13, "Permission denied", "/x")).endswith(
        "'/x'; make it writable for you, or give another folder"
    )
    assert with_remedy(OSError("nothing listens")) == "nothing listens"
