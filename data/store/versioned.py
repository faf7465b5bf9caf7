"""Files read back from a folder: checked against their schema where they are read, all in one way.

What lies in a folder may be damaged, from another version, or someone else's. A file states the
schema it was written by: older ones are read, newer ones refused. It is read as a type, usually a
dataclass, whose fields say what they may hold: `Word` for what becomes part of a file's name,
`Line` for a text that is shown, `Number` and `Plain` for other values.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import from_json, to_json

from data.errors import printable
from data.store.location import Location

Kind = TypeVar("Kind")


def _number(value: Any) -> float:
    if type(value) is float or (type(value) is int and abs(value) < 2**63):
        return value
    raise ValueError("a number")


def _plain(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= LONGEST and re.fullmatch(WORD, value):
        return value
    with suppress(ValueError):
        return _number(value)
    raise ValueError("a number or a word")


LONGEST = 200
WORD = r"^\w[\w.+-]*$"
Word = Annotated[str, StringConstraints(pattern=WORD, max_length=LONGEST)]
"""A name that leads nowhere as part of a path, and has no markup."""
Line = Annotated[str, AfterValidator(printable)]
"""Any text; control characters become escapes."""
Number = Annotated[Any, PlainValidator(_number)]
"""An integer or float; NaN is one, as a standard error may be."""
Plain = Annotated[Any, PlainValidator(_plain)]
"""A `Number` or a `Word`."""

MAX_BYTES = 64 * 2**20
"""Of one file: far more than any that Crescendo writes."""
SHOWN = 60
"""Characters of a wrong value in a message."""


class VersionError(ValueError):
    """A file that this version of Crescendo cannot read; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def read_versioned(
    path: Path | Location, kind: type[Kind], newest: int, remedy: str = "remove it"
) -> Kind:
    """The object in a JSON file; a file that states no `schema` is of the first.

    kind: what the object must be; unknown fields are refused. newest: the newest schema that it
    describes. remedy: what the user can do about a wrong file.
    Raises FileNotFoundError, and VersionError for whatever else is wrong with it.
    """
    content = _content(path, remedy)
    try:
        found = from_json(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise VersionError(f"{path}: found no JSON object; {remedy}")
    check_schema(path, found.get("schema", 1), newest)
    if "schema" not in found:
        content = to_json(found | {"schema": 1}, inf_nan_mode="constants")
    try:
        adapter = _adapter(kind)  # type: ignore[arg-type]
        return adapter.validate_json(content, strict=True, extra="forbid")
    except ValidationError as error:
        raise VersionError(f"{path}: {_first(error)}; {remedy}") from None


def _content(path: Path | Location, remedy: str) -> bytes:
    path = Location.of(str(path))
    if path.local and path.local.exists() and not path.local.is_file():
        raise VersionError(f"{path}: found a folder, expected a file; {remedy}")
    with path.open() as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise VersionError(f"{path}: found more than {MAX_BYTES:,} bytes; {remedy}")
    return content


# Building one takes milliseconds.
@lru_cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def _first(error: ValidationError) -> str:
    """The first of what is wrong: where, what was found, what was expected."""
    wrong = error.errors(include_url=False)[0]
    *above, last = [str(part)[:SHOWN] for part in wrong["loc"]] or ["it"]
    where = ".".join([*above, last])
    if wrong["type"] == "missing":
        return f"found no {where}"
    if wrong["type"] == "unexpected_keyword_argument":
        return f"found an unknown field {where}"
    found = repr(wrong["input"])
    found = found if len(found) <= SHOWN else f"{found[:SHOWN]}..."
    return f"found {where} {found}, {_expected(wrong['msg'])}"


def _expected(said: str) -> str:
    """pydantic's sentence in our words."""
    return "expected " + re.sub(r"^(Value error, |Input should be |String should )", "", said)


def check_schema(path: Path | Location, found: Any, newest: int) -> None:
    """Raises VersionError unless `found` is a schema up to `newest`."""
    if type(found) is not int or found not in range(1, newest + 1):
        raise VersionError(
            f"{path}: found schema {found!r:.60}, expected at most {newest}; a newer version wrote "
            "it: update this one, or use another folder"
        )
