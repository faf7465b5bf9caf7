"""Files that say by which schema they were written: older ones are read, newer ones refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data.store.location import Location


class VersionError(ValueError):
    """A file that this version cannot read; the message is one line."""


def read_versioned(path: Path | Location, newest: int) -> dict[str, Any]:
    """The object in a JSON file, with its `schema`: the first, where it names none.

    Raises FileNotFoundError, and VersionError for a schema above `newest` or what is no object.
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
