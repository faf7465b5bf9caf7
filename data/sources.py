"""Sources of MIDI: each yields shards, and one shard is one task's work."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.packed import DataError
from data.storage import Location

FILES_PER_SHARD = 500
MIDI = (".mid", ".midi")
TARS = (".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class Shard:
    """A tar of MIDI files, or some of the files of a folder."""

    path: Location
    members: tuple[str, ...] = ()
    """Of a folder: which files below it."""

    def read(self) -> Iterator[tuple[str, bytes]]:
        """(path, bytes) of each MIDI file; a tar is streamed and never unpacked."""
        if self.members:
            for member in self.members:
                yield member, (self.path / member).read_bytes()
            return
        with self.path.open() as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.name.lower().endswith(MIDI) else None
                if file is not None:
                    yield entry.name, file.read()


def shards(path: Path) -> list[Shard]:
    """The shards of a tar, or of a folder of MIDI files and tars. Raises DataError."""
    if path.is_file() and path.name.endswith(TARS):
        return [Shard(Location.of(path))]
    if not path.is_dir():
        raise DataError(f"no source at {path}: expected a folder of MIDI files, a tar, or 'folk'")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    loose = [str(file.relative_to(path)) for file in files if file.suffix.lower() in MIDI]
    groups = [loose[i : i + FILES_PER_SHARD] for i in range(0, len(loose), FILES_PER_SHARD)]
    found = [Shard(Location.of(path), tuple(group)) for group in groups]
    found += [Shard(Location.of(file)) for file in files if file.name.endswith(TARS)]
    if not found:
        raise DataError(f"the source {path} is empty: it holds no .mid file and no tar")
    return found
