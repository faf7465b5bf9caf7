"""Licences of data, by the words that Hugging Face knows them by."""

from __future__ import annotations

from dataclasses import dataclass

from data.errors import DataError, hint

KNOWN = (
    "cc0-1.0",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-nc-nd-4.0",
    "odbl",
    "odc-by",
    "pddl",
    "mit",
    "apache-2.0",
    "unlicense",
    "other",
    "unknown",
)
"""Those of its list that data are published under."""


@dataclass(frozen=True)
class Licence:
    word: str
    """One of `KNOWN`."""
    said: str
    """A sentence or two for a reader."""


UNKNOWN = Licence("unknown", "No licence was stated.")


def named(word: str) -> Licence:
    """The licence that a user names. Raises DataError."""
    if word not in KNOWN:
        raise DataError(
            f"found licence {word!r}, expected one that the hub knows{hint(word, KNOWN)}"
        )
    return Licence(word, f"`{word}`, as whoever made the data set said.")
