"""The errors that a user of data can cause, text for a terminal, and what a misspelt word may have
meant."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from difflib import get_close_matches

ROOM = "free some room; the same command goes on"
WRITABLE = "make it writable for you, or give another folder"
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


class DataError(ValueError):
    """A source or a data folder that cannot be used; the message is one line, whatever names are
    in it."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    r"""Text from outside for a terminal: control characters, which it would obey, as escapes
    (`\x1b`)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def hint(word: str, known: Sequence[str]) -> str:
    """How a message about an unknown word ends: the known word nearest to it, or all of them."""
    near = get_close_matches(word, known, n=1, cutoff=0.4)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def one_line(error: BaseException) -> str:
    """What an error says, its lines joined; its kind if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def with_remedy(error: OSError) -> str:
    """What a file, a disk or a service answered, and what to do about it if that is known."""
    remedy = REMEDIES.get(error.errno or 0)
    return printable(f"{error}; {remedy}" if remedy else str(error))
