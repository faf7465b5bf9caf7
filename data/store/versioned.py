"""Files that state the schema they were written by: older ones are read, newer ones refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data.store.location import Location


class VersionError(ValueError):
    """A file that this version of Crescendo cannot read; the message is one line."""


def read_versioned(path: Path | Location, newest: int) -> dict[str, Any]:
    """The object in a JSON file, with its `schema`, which is 1 if the file states none.

    Raises FileNotFoundError, and VersionError without an object or for a schema above `newest`.
    """
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise VersionError(f"{path}: found no JSON object; remove the file to have it made again")
    check_schema(path, found.setdefault("schema", 1), newest)
    return found


def check_schema(path: Path | Location, found: Any, newest: int) -> None:
    """Raises VersionError unless `found` is a schema up to `newest`."""
    if found not in range(1, newest + 1):
        raise VersionError(
            f"{path}: found schema {found!r}, expected at most {newest}; a newer version wrote it: "
            "update this one, or use another folder"
        )
