"""MIDI files in a column of Parquet, as the folder of GigaMIDI on Hugging Face's hub has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError, one_line
from data.sources.containers import Shard
from data.sources.members import Refused, too_large
from data.store.location import Location

PARQUET = ".parquet"
NAME, MIDI = "md5", "music"
BATCH_ROWS = 64
"""Most files that are held at a time."""


@dataclass(frozen=True)
class Group:
    """The files of a row group, each named by its MD5."""

    path: Location
    number: int

    @property
    def source(self) -> str:
        return str(self.path)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        with pq.ParquetFile(self.path.path, filesystem=self.path.filesystem) as file:
            for batch in file.iter_batches(BATCH_ROWS, [self.number], [NAME, MIDI]):
                midi = batch.column(MIDI)
                if pa.types.is_struct(midi.type):  # As `datasets` writes what comes from a file.
                    midi = midi.field("bytes")
                for name, content in zip(batch.column(NAME).to_pylist(), midi.to_pylist()):
                    yield f"{name}.mid", _content(content)


def _content(content: bytes | None) -> bytes | Refused:
    if content is None:
        return Refused("refused", "its row holds no file")
    return too_large(len(content)) or content


def shards(path: Location) -> list[Shard]:
    """The shards of a Parquet file with such columns; none for any other file. Raises DataError for
    what is no Parquet."""
    if not path.name.lower().endswith(PARQUET):
        return []
    try:
        with pq.ParquetFile(path.path, filesystem=path.filesystem) as file:
            if not {NAME, MIDI} <= set(file.schema_arrow.names):
                return []
            return [Group(path, number) for number in range(file.num_row_groups)]
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"the source {path} is no Parquet: {one_line(error)}") from None
