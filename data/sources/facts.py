"""What a table says of the files of a source: licence, genre, composer and work.

A table is CSV or Parquet with a row a file: its path, and any of `FACTS`. The path may leave out
the first folders of the file's own, as in tables that lie beside what they describe.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from data.errors import DataError, hint, one_line
from data.store.location import Location

FACTS = ("licence", "genre", "composer", "work")
PATH = "path"
_SECTION = re.compile(r"#bar\d+$")


@dataclass(frozen=True)
class Table:
    file: Location
    """CSV or Parquet, or a zip that has the CSV in it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Other names of the columns of `PATH` and `FACTS`."""
    member: str = ""
    """Of the zip: how the name of the CSV ends."""

    def rows(self) -> dict[str, tuple[str, ...]]:
        """The values of `FACTS` by path; "" where nothing is said. Raises DataError."""
        try:
            table = self._table()
        except (OSError, pa.ArrowInvalid, zipfile.BadZipFile) as error:
            raise DataError(f"the table {self.file} cannot be read: {one_line(error)}") from None
        names = {name: self.columns.get(name, name) for name in (PATH, *FACTS)}
        if names[PATH] not in table.column_names:
            raise DataError(
                f"the table {self.file} has no column {names[PATH]!r}"
                f"{hint(names[PATH], table.column_names)}"
            )
        empty = pa.nulls(len(table), pa.string())
        columns = [
            pc.fill_null(table[name].cast(pa.string()) if name in table.column_names else empty, "")
            for name in names.values()
        ]
        paths, *facts = (column.to_pylist() for column in columns)
        rows = dict(zip(map(_plain, paths), zip(*facts)))
        if len(rows) < len(paths):
            raise DataError(f"the table {self.file} has {len(paths) - len(rows):,} paths twice")
        return rows

    def _table(self) -> pa.Table:
        if self.member:
            with self.file.filesystem.open_input_file(self.file.path) as file:
                packed = zipfile.ZipFile(file)
                name = next((n for n in packed.namelist() if n.endswith(self.member)), "")
                if not name:
                    raise DataError(f"the archive {self.file} has no {self.member}")
                return _csv(pa.BufferReader(packed.read(name)))
        with self.file.filesystem.open_input_file(self.file.path) as file:
            return pq.read_table(file) if self.file.name.endswith(".parquet") else _csv(file)


def _csv(file: Any) -> pa.Table:
    lines = csv.ParseOptions(newlines_in_values=True)
    # A number may be a title.
    header = csv.open_csv(file, parse_options=lines).schema.names
    file.seek(0)
    text = csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()))
    return csv.read_csv(file, parse_options=lines, convert_options=text)


def _plain(path: str) -> str:
    return path.removeprefix("./").lstrip("/")


def facts_of(paths: Sequence[str], rows: dict[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The facts of each path by the row with the longest end of it; "" where there is none."""
    return [_row(_plain(_SECTION.sub("", path)), rows) for path in paths]


def _row(path: str, rows: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    while path not in rows:
        _, slash, path = path.partition("/")
        if not slash:
            return ("",) * len(FACTS)
    return rows[path]
