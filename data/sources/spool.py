"""Archives that can only be read from their start, written out once as the shards of many tasks.

What is written out is what the archive holds, packed again, so that it takes about as much disk as
the archive does. It lies with the staged parts, and goes with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq

from data.sources.containers import ALIKE, Shard, Tar, portions, unpacked
from data.sources.members import Refused
from data.store.location import Location
from data.store.tables import write_rows

COUNT = "count.txt"
"""How many shards an archive has, written when all are there."""
SMALL = 2**16
"""Bytes of an archive that is a shard as it is,"""
SMALL_OF_MANY = 2**24
"""and of one in a source that has `ALIKE` shards or more: these are tasks enough."""

# `content` is null for what is refused; then the others are not.
MEMBER = pa.schema(
    [
        ("path", pa.string()),
        ("content", pa.binary()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class Spooled:
    """Members of an archive that were written out."""

    archive: Location
    file: Location

    @property
    def source(self) -> str:
        return str(self.archive)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        with pq.ParquetFile(self.file.path, filesystem=self.file.filesystem) as file:
            for number in range(file.num_row_groups):
                for row in file.read_row_group(number).to_pylist():
                    yield row["path"], _content(row)


def _content(row: dict) -> bytes | Refused:
    if row["content"] is None:
        return Refused(row["reason"], row["detail"])
    return unpacked(row["path"], row["content"])


def _row(path: str, content: bytes | Refused) -> dict[str, str | bytes]:
    if isinstance(content, Refused):
        return {"path": path, "reason": content.reason, "detail": content.detail}
    return {"path": path, "content": content}


def spool(tar: Tar, folder: Location) -> None:
    """Write out the members of a tar, a file below `folder` for each shard. Raises DataError for a
    broken tar, and OSError for a full disk."""
    rows = (_row(*member) for member in tar.members())
    count = 0
    for portion in portions((row, len(row.get("content", ""))) for row in rows):
        write_rows(_file(folder, count), portion, MEMBER)
        count += 1
    (folder / COUNT).write_text(str(count))


def to_spool(found: list[Shard], folder: Location) -> list[tuple[Tar, Location]]:
    """The archives among the shards of a source that are one shard, and the folder below `folder`
    for the members of each; without those that are written out."""
    tasks = [(shard, _place(shard, folder)) for shard in found if _is_long(shard, len(found))]
    return [(tar, place) for tar, place in tasks if not (place / COUNT).exists()]


def divided(found: list[Shard], folder: Location) -> list[Shard]:
    """The shards of a source for tasks to read, once what is `to_spool` is written out."""
    return [part for shard in found for part in _parts(shard, folder, len(found))]


def _parts(shard: Shard, folder: Location, among: int) -> list[Shard]:
    if not _is_long(shard, among):
        return [shard]
    place = _place(shard, folder)
    count = int((place / COUNT).read_text())
    # One without members remains what it is, and tells it.
    return [Spooled(shard.path, _file(place, number)) for number in range(count)] or [shard]


def _is_long(shard: Shard, among: int) -> TypeGuard[Tar]:
    if not isinstance(shard, Tar):
        return False
    size = shard.path.filesystem.get_file_info(shard.path.path).size
    return size > (SMALL if among < ALIKE else SMALL_OF_MANY)


def _place(tar: Tar, folder: Location) -> Location:
    return folder / f"spool-{hashlib.sha256(str(tar.path).encode()).hexdigest()[:16]}"


def _file(folder: Location, number: int) -> Location:
    return folder / f"{number:06d}.parquet"
