"""Parquet files, read and written a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.store.location import Location

GROUP_ROWS = 256
"""Most rows in a row group, which is all that is held of a file at a time."""
GROUP_VALUES = 2**23
"""Tokens and characters after which a row group ends: a few pieces may be as long as many."""


def read_table(path: Location, columns: list[str] | None = None, filters: Any = None) -> pa.Table:
    return pq.read_table(path.path, columns=columns, filters=filters, filesystem=path.filesystem)


def table_groups(path: Location, columns: list[str]) -> Iterator[pa.Table]:
    """The row groups of a Parquet file, one at a time."""
    with pq.ParquetFile(path.path, filesystem=path.filesystem) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, columns=columns)


def row_groups(path: Location, columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a Parquet file with tokens, a group at a time."""
    for group in table_groups(path, columns):
        others = group.drop_columns("tokens").to_pylist()
        yield [
            row | {"tokens": tokens.values.to_numpy()}
            for row, tokens in zip(others, group["tokens"])
        ]


class Rows:
    """Writes a Parquet file row by row, in groups of `GROUP_ROWS`."""

    def __init__(self, file: Path, schema: pa.Schema, compression: str = "zstd") -> None:
        self.schema = schema
        self.waiting: list[dict[str, Any]] = []
        self.values = 0
        # No two pieces are alike, so dictionaries would cost time and save nothing.
        self.writer = pq.ParquetWriter(file, schema, compression=compression, use_dictionary=False)

    def __enter__(self) -> Rows:
        return self

    def write(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            self.waiting.append(row)
            self.values += sum(len(value) for value in row.values() if hasattr(value, "__len__"))
            if len(self.waiting) == GROUP_ROWS or self.values >= GROUP_VALUES:
                self._flush()

    def _flush(self) -> None:
        self.writer.write_table(pa.Table.from_pylist(self.waiting, schema=self.schema))
        self.waiting.clear()
        self.values = 0

    def __exit__(self, *_: object) -> None:
        self._flush()
        self.writer.close()


def write_table(path: Location, table: pa.Table) -> None:
    """A Parquet file, whole or absent."""
    with path.writing() as file:
        pq.write_table(table, file, compression="zstd")


def write_rows(path: Location, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """A Parquet file, whole or absent."""
    with path.writing() as file, Rows(file, schema) as all_rows:
        all_rows.write(rows)
