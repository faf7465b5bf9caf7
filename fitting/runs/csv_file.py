"""A CSV file: UTF-8, commas, a header row, and every row as long as the header."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fitting.runs.escape import masked, printable

SHOWN = 12
"""Number of columns that a message lists."""


class RecordError(ValueError):
    """The source holds nothing that can be fitted; the message is one line: where and what."""

    def __init__(self, message: str) -> None:
        super().__init__(masked(printable(message)))


@dataclass(frozen=True)
class CsvFile:
    """The cells of a table as text, without surrounding blanks."""

    path: Path
    columns: dict[str, list[str]]
    """The cells of each column (rows,), by name, in the order of the file."""
    rows: list[int]
    """(rows,) the row number of each in the file; the header is row 1."""

    def where(self, index: int, name: str) -> str:
        """How a message points to one cell."""
        return f"{self.path}, row {self.rows[index]}, column {name}"

    @property
    def names(self) -> str:
        """The columns, for a message."""
        return listed(list(self.columns))


def read(path: Path, expected: str) -> CsvFile:
    """Read a file. RecordError if it is not a CSV; `expected` names the columns in the message."""
    if not path.is_file():
        raise RecordError(f"{path}: no such file; expected a CSV with columns {expected}")
    header, *table = _rows(path) or [(0, [])]
    if not header[1]:
        raise RecordError(f"{path}: the file is empty; expected a CSV with columns {expected}")
    names = [printable(name.strip()) for name in header[1]]
    for mark in (";", "\t"):
        if len(names) == 1 and mark in header[1][0]:
            raise RecordError(
                f"{path}: found one column; is it separated by {mark!r}? Expected commas"
            )
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise RecordError(f"{path}: found several columns {twice[0]}; expected each name once")
    if not table:
        raise RecordError(f"{path}: the table has a header and no rows")
    for row, fields in table:
        if len(fields) != len(names):
            raise RecordError(
                f"{path}: row {row} has {len(fields)} fields, the header {len(names)}; "
                "a comma within a field needs quotes around it"
            )
    columns = {}
    for place, name in enumerate(names):
        cells = [fields[place].strip() for _, fields in table]
        # Spreadsheets leave empty columns on the right.
        if name or any(cells):
            columns[name or f"(number {place + 1}, without a name)"] = cells
    return CsvFile(path, columns, [row for row, _ in table])


def listed(names: list[str]) -> str:
    """The first dozen names, for a message."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name[:60] for name in names[:SHOWN]) + more


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Row number and fields of each row that is not blank."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RecordError(
            f"{path}: line {line} is not UTF-8 text (byte {raw[error.start]:#04x}); "
            "save the table as CSV in UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise RecordError(f"{path}: line {line} holds a NUL byte; expected a CSV in UTF-8")
    rows: list[tuple[int, list[str]]] = []
    row = 0
    try:
        # Without `strict`, a quote left open would swallow the rest of the table.
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
        for row, fields in enumerate(reader, start=1):
            if any(field.strip() for field in fields):
                rows.append((row, fields))
    except csv.Error as error:
        why = "a quote is left open" if "end of data" in str(error) else str(error)
        raise RecordError(f"{path}, row {row + 1}: not CSV ({why})") from None
    return rows
