"""The losses of a cell by piece, in a small file beside its record.

Its rows are the pieces of the validation and test splits, in the splits' order: across cells with
the same data, a given row is the same piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.store.location import Location
from data.store.versioned import VersionError, check_schema

SCHEMA = 1
REMEDY = "remove the file, or the cell"
COLUMNS = pa.schema(
    [
        ("split", pa.dictionary(pa.int8(), pa.string())),
        ("piece", pa.uint32()),
        ("group", pa.uint32()),
        ("nats", pa.float32()),
        ("tokens", pa.uint32()),
        ("notes", pa.uint32()),
        ("seconds", pa.float32()),
    ],
    metadata={"schema": str(SCHEMA)},
)


@dataclass(frozen=True)
class Losses:
    """The losses of a split by piece; each column is (pieces,)."""

    nats: np.ndarray
    """Summed over the scored tokens."""
    tokens: np.ndarray
    """Scored tokens: all but the first of a piece."""
    notes: np.ndarray
    seconds: np.ndarray
    groups: np.ndarray
    """The number of the group that versions of one work share."""


def losses_path(cell: Location) -> Location:
    return cell / "losses.parquet"


def write_losses(cell: Location, losses: Mapping[str, Losses]) -> None:
    """Write the losses of each split into the cell's folder, all or nothing."""
    tables = [
        pa.table(
            {
                "split": pa.DictionaryArray.from_arrays(np.zeros(len(each.nats), np.int8), [split]),
                "piece": np.arange(len(each.nats), dtype=np.uint32),
                "group": each.groups.astype(np.uint32),
                "nats": each.nats.astype(np.float32),
                "tokens": each.tokens.astype(np.uint32),
                "notes": each.notes.astype(np.uint32),
                "seconds": each.seconds.astype(np.float32),
            },
            schema=COLUMNS,
        )
        for split, each in losses.items()
    ]
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables).unify_dictionaries(), buffer, compression="zstd")
    losses_path(cell).write_bytes(buffer.getvalue().to_pybytes())


def read_losses(cell: Location) -> dict[str, Losses]:
    """The losses by split; empty if the cell was trained by a version that kept none.

    Raises VersionError if the file is damaged or from a newer version.
    """
    path = losses_path(cell)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError):
        raise VersionError(f"{path}: found no Parquet; {REMEDY}") from None
    schema = (table.schema.metadata or {}).get(b"schema", b"none").decode(errors="replace")
    check_schema(path, int(schema) if schema.isdecimal() else schema, SCHEMA)
    for column in COLUMNS:
        found = [each for each in table.schema if each.name == column.name]
        if [each.type for each in found] != [column.type] or table[column.name].null_count:
            raise VersionError(f"{path}: found no {column.name} of each piece; {REMEDY}")
    splits = np.asarray(table["split"].cast(pa.string()))
    columns = {
        name: table[column].to_numpy()
        for name, column in (
            ("nats", "nats"),
            ("tokens", "tokens"),
            ("notes", "notes"),
            ("seconds", "seconds"),
            ("groups", "group"),
        )
    }
    return {
        str(split): Losses(**{name: values[splits == split] for name, values in columns.items()})
        for split in dict.fromkeys(splits)
    }
