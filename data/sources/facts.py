"""What a table says of the files of a source: licence, genre, composer and work.

A table is CSV or Parquet with a row a file: its path, and any of `FACTS`. The path may leave out
the first folders of the file's own, as in tables that lie beside what they describe. The tables of
known corpora are laid out otherwise, as their `Layout` says.
"""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.dataset as ds
from pyarrow import fs

from data.errors import DataError, hint, one_line
from data.sources.containers import named_in
from data.sources.members import TARS, Refused
from data.store.location import Location

FACTS = ("licence", "genre", "composer", "work")
PATH = "path"
PARQUET = ".parquet"
BLOCK = 2**24
_SECTION = re.compile(r"#bar\d+$")
_NOTHING = ("",) * len(FACTS)
Facts = Callable[[str], tuple[str, ...]]
"""The values of `FACTS` by the path of a file."""


@dataclass(frozen=True)
class Layout:
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """Other names of the columns of `PATH` and `FACTS`; "" for one that is not taken. What several
    columns tell together is nothing where one of them is empty."""
    member: str = ""
    """Of an archive: how the name of the table in it ends."""
    key: str = ""
    """What of a file's path, by a regular expression with a group, stands in the table as its path;
    "" where paths are what they are elsewhere."""
    missing: str = ""
    """What stands where nothing is known."""
    subset: str = ""
    """A column that says True of the files that are taken; "" if all are."""


@dataclass(frozen=True)
class Table:
    file: Location
    """CSV or Parquet, a folder of Parquet, or an archive with a CSV or JSON in it."""
    layout: Layout = Layout()

    def rows(self) -> dict[str, tuple[str, ...]]:
        """The values of `FACTS` by path; "" where nothing is said. Raises DataError."""
        paths, *facts = self._columns(PATH, *FACTS)
        rows: dict[str, tuple[str, ...]] = {}
        twice = 0
        for path, row in zip(paths, zip(*facts)):
            twice += path in rows and rows[path] != row
            rows.setdefault(path, row)
        if twice:
            raise DataError(f"the table {self.file} has {twice:,} paths twice")
        return rows

    def chosen(self) -> Callable[[str], Refused | None]:
        """Why a file is left out, by its path; None if it is of the subset. Raises DataError."""
        paths, taken = self._columns(PATH, self.layout.subset)
        kept = {path for path, said in zip(paths, taken) if said.lower() == "true"}
        name = self.layout.subset.partition(":")[2] or self.layout.subset
        if not kept:
            raise DataError(f"the table {self.file} counts no file to {name}")
        refused = Refused("subset", f"{self.file.name} does not count it to {name}")
        return lambda path: None if self.key(path, kept) is not None else refused

    def key(self, path: str, rows: Collection[str]) -> str | None:
        """What stands in the table as the path of a file; None if nothing does."""
        path = _plain(_SECTION.sub("", path))
        if self.layout.key:
            found = re.search(self.layout.key, path)
            return found[1] if found and found[1] in rows else None
        while path not in rows:
            _, slash, path = path.partition("/")
            if not slash:
                return None
        return path

    def _columns(self, *names: str) -> list[list[str]]:
        """Columns as text, without the rows that have no path."""
        wanted = [_names(self.layout.columns.get(name, name)) for name in names]
        try:
            table = self._read([column for each in wanted for column in each])
        except DataError:
            raise
        except (OSError, ValueError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            raise DataError(f"the table {self.file} cannot be read: {one_line(error)}") from None
        (path,) = wanted[0]
        if path not in table.column_names:
            raise DataError(
                f"the table {self.file} has no column {path!r}{hint(path, table.column_names)}"
            )
        columns = [self._text(table, each) for each in wanted]
        columns[0] = list(map(_plain, columns[0]))
        there = [bool(path) for path in columns[0]]
        return [[value for value, has in zip(each, there) if has] for each in columns]

    def _text(self, table: pa.Table, names: Sequence[str]) -> list[str]:
        if not names or not set(names) <= set(table.column_names):
            return [""] * len(table)
        parts = [_as_text(table[name]).to_pylist() for name in names]
        nothing = (None, "", self.layout.missing)
        return ["" if any(p in nothing for p in row) else " ".join(row) for row in zip(*parts)]

    def _read(self, columns: list[str]) -> pa.Table:
        """The columns that there are, the path first; all of its own where that is missing."""
        name, filesystem = self.layout.member or self.file.name, self.file.filesystem
        if filesystem.get_file_info(self.file.path).type == fs.FileType.Directory:
            below = filesystem.get_file_info(fs.FileSelector(self.file.path, recursive=True))
            files = sorted(file.path for file in below if file.path.endswith(PARQUET))
            if not files:
                raise DataError(f"the table {self.file} is a folder without Parquet")
            return _parquet(files, filesystem, columns)
        if name.endswith(PARQUET):
            return _parquet([self.file.path], filesystem, columns)
        with self._opened() as file:
            return _json(file) if name.endswith(".json") else _csv(file, columns)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        if not self.layout.member:
            with self.file.filesystem.open_input_file(self.file.path) as file:
                yield file
        elif self.file.name.endswith(TARS):
            with named_in(self.file, self.layout.member) as file:
                yield file
        else:
            with self.file.filesystem.open_input_file(self.file.path) as file:
                packed = zipfile.ZipFile(file)
                names = [name for name in packed.namelist() if name.endswith(self.layout.member)]
                if not names:
                    raise DataError(f"the archive {self.file} has no {self.layout.member}")
                yield pa.BufferReader(packed.read(names[0]))


def _names(columns: str | tuple[str, ...]) -> tuple[str, ...]:
    return columns if isinstance(columns, tuple) else (columns,) * bool(columns)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.binary_join(column, ", ")
    return column.cast(pa.string())


def _parquet(files: list[str], filesystem: fs.FileSystem, columns: list[str]) -> pa.Table:
    found = ds.dataset(files, format="parquet", filesystem=filesystem)
    names = found.schema.names
    if columns[0] not in names:
        return found.schema.empty_table()
    return found.to_table([name for name in names if name in columns])


def _csv(file: Any, columns: list[str]) -> pa.Table:
    lines = csv.ParseOptions(newlines_in_values=True)
    # A line may be long: it has to lie in one block.
    blocks = csv.ReadOptions(block_size=BLOCK)
    header = csv.open_csv(file, blocks, lines).schema.names
    file.seek(0)
    there = [name for name in header if name in columns or columns[0] not in header]
    # A number may be a title.
    text = csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), include_columns=there
    )
    return csv.read_csv(file, blocks, lines, text)


def _json(file: BinaryIO) -> pa.Table:
    """As Aria-MIDI has it: {path: {"metadata": {column: value}}}."""
    try:
        rows = [
            {PATH: path, **{name: _said(value) for name, value in each["metadata"].items()}}
            for path, each in json.load(file).items()
        ]
    except (AttributeError, KeyError, TypeError):
        raise ValueError('expected {path: {"metadata": {column: value}}}') from None
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})


def _said(value: object) -> str | None:
    return None if value is None else str(value)


def _plain(path: str) -> str:
    return path.removeprefix("./").lstrip("/")


def facts_by(table: Table | None) -> Facts:
    """The facts of a path: those of its row, or of that with the longest end of it; "" where there
    is none. Raises DataError."""
    if table is None:
        return lambda path: _NOTHING
    rows = table.rows()
    return lambda path: _NOTHING if (key := table.key(path, rows)) is None else rows[key]
