"""The errors of a sweep that a user can cause, each in one line."""

from __future__ import annotations

import errno

ROOM = "free some room; the same command goes on"
WRITABLE = "make it writable for you, or give another --out"
FOLDER = "give a folder that is there or can be made"
REMEDIES = {
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EACCES: WRITABLE,
    errno.EPERM: WRITABLE,
    errno.EROFS: WRITABLE,
    errno.ENOTDIR: FOLDER,
    errno.EEXIST: FOLDER,
    errno.ENOENT: FOLDER,
}


class GridError(ValueError):
    """A grid that cannot be run; the message is one line that says where the mistake is."""


def with_remedy(error: OSError) -> str:
    """What a file, a disk or a service answered, and what to do about it if that is known."""
    remedy = REMEDIES.get(error.errno or 0)
    return f"{error}; {remedy}" if remedy else str(error)
