"""Folders and prefixes of buckets, with the archives in them, divided into shards; and ABC."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyarrow import fs

from data.abc.dialect import AbcError
from data.errors import DataError
from data.music.files import to_midi
from data.music.score import DEFAULT_TICKS_PER_QUARTER
from data.notation import tunes
from data.sources import columns
from data.sources.containers import Shard, archive, portions
from data.sources.members import READ, TARS, ZIP, Refused, bounded, member, shown
from data.store.location import Location

BOOKS_PER_SHARD = 20
"""A book may have a thousand tunes."""
ABC = ".abc"
_BETWEEN = "\0"
"""Names: the one character that none of them has."""


@dataclass(frozen=True)
class Files:
    """Some of the files below a folder or a bucket's prefix: MIDI, or what is played as MIDI."""

    folder: Location
    packed: bytes
    """Their names: whoever lists a million files holds them all."""

    @classmethod
    def of(cls, folder: Location, members: Iterable[str]) -> Self:
        names = _BETWEEN.join(members).encode(errors="surrogateescape")
        return cls(folder, zlib.compress(names, 1))

    @property
    def members(self) -> list[str]:
        return zlib.decompress(self.packed).decode(errors="surrogateescape").split(_BETWEEN)

    @property
    def source(self) -> str:
        return str(self.folder)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        for name in self.members:
            yield shown(name), _opened(self.folder / name, name)


def _opened(file: Location, name: str) -> bytes | Refused:
    try:
        # Python opens a name that is not UTF-8, Arrow does not.
        with open(file.local, "rb") if file.local else file.open() as stream:
            return bounded(stream) if name.lower().endswith(ABC) else member(name, stream)
    except (PermissionError, FileNotFoundError) as error:
        # It may have gone since the folder was listed.
        return Refused("refused", f"it cannot be opened: {error.strerror}")


@dataclass(frozen=True)
class Books(Files):
    """Some of the ABC files below a folder or a bucket's prefix: each tune is a MIDI file."""

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        for name, content in super().read():
            if isinstance(content, Refused):
                yield name, content
                continue
            for number, tune in enumerate(tunes.tunes(content.decode(errors="replace")), start=1):
                yield f"{name}/{number:04d}.mid", _played(tune)


def _played(tune: str) -> bytes | Refused:
    try:
        return to_midi(tunes.read(tune, DEFAULT_TICKS_PER_QUARTER))
    except AbcError as error:
        return Refused("unreadable", str(error))


@dataclass(frozen=True)
class Broken:
    """An archive in a folder that cannot be read at all, as one file that is refused."""

    folder: Location
    name: str
    detail: str

    @property
    def source(self) -> str:
        return str(self.folder / self.name)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        yield shown(self.name), Refused("refused", self.detail)


def shards(path: Location) -> list[Shard]:
    """The shards of an archive, or of a folder or prefix of MIDI files, MusicXML and archives; or
    of ABC, if it has none of these.

    Raises DataError if nothing is there, or nothing that can be read.
    """
    info = path.filesystem.get_file_info(path.path)
    if info.type == fs.FileType.File:
        found = _archive(path, info.size)
        if found:
            return found
        if path.name.lower().endswith(ZIP):
            raise DataError(f"the archive {path} holds no MIDI file and no MusicXML")
        raise DataError(f"the source {path} is no tar, zip or folder; expected {_EXPECTED}")
    if info.type != fs.FileType.Directory:
        raise DataError(f"no source at {path}: expected {_EXPECTED}")
    names = ((name, size) for name, size, _ in listed(path))
    others: list[tuple[str, int]] = []
    found = [Files.of(path, group) for group in portions(_loose(names, others))]
    books = [name for name, _ in others if name.lower().endswith(ABC)]
    for name, size in others:
        found += _within(path, name, size, len(found))
    if not found:
        # Beside MIDI files, ABC often holds the same music.
        starts = range(0, len(books), BOOKS_PER_SHARD)
        found = [Books.of(path, books[i : i + BOOKS_PER_SHARD]) for i in starts]
    if not found:
        raise DataError(
            f"the source {path} is empty: it holds no .mid, .musicxml, .mxl or .abc file, no tar "
            "and no zip"
        )
    return found


def _loose(
    names: Iterable[tuple[str, int]], others: list[tuple[str, int]]
) -> Iterator[tuple[str, int]]:
    """Those of the files with their sizes that are MIDI or MusicXML; archives and ABC are put
    aside, to `others`."""
    for name, size in names:
        lower = name.lower()
        if lower.endswith(READ):
            yield name, size
        elif lower.endswith((*TARS, ZIP, columns.PARQUET, ABC)):
            others.append((name, size))


def _archive(path: Location, size: int, made: int = 0) -> list[Shard]:
    return archive(path, size, made) or columns.shards(path)


def _within(folder: Location, name: str, size: int, made: int) -> list[Shard]:
    try:
        return _archive(folder / name, size, made)
    except DataError as error:
        return [Broken(folder, name, str(error))]


def listed(path: Location) -> Iterator[tuple[str, int, int]]:
    """The name, the size and the time of change, in ns, of each file below a folder or prefix, in a
    fixed order; of a file, its own."""
    info = path.filesystem.get_file_info(path.path)
    if info.type == fs.FileType.File:
        return iter([("", info.size, info.mtime_ns)])
    return _below(path.local) if path.local else _below_prefix(path)


def _below(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Links are followed, but no folder is entered twice: a link may lead back to where it is."""
    entered = set()
    for place, folders, names in os.walk(folder, onerror=_unlisted, followlinks=True):
        here = os.stat(place)
        if (here.st_dev, here.st_ino) in entered:
            folders.clear()
            continue
        entered.add((here.st_dev, here.st_ino))
        # The order decides by which of several links a folder is entered.
        folders.sort()
        for name in sorted(names):
            file = Path(place, name)
            if file.is_file():
                said = file.stat()
                yield file.relative_to(folder).as_posix(), said.st_size, said.st_mtime_ns


def _unlisted(error: OSError) -> None:
    raise DataError(f"the folder {error.filename} cannot be listed: {error.strerror}")


def _below_prefix(path: Location) -> Iterator[tuple[str, int, int]]:
    below = path.filesystem.get_file_info(fs.FileSelector(path.path, recursive=True))
    files = sorted((f.path, f.size, f.mtime_ns) for f in below if f.type == fs.FileType.File)
    for name, size, at in files:
        yield name.removeprefix(path.path).lstrip("/"), size, at


_EXPECTED = "a tar, a zip, a folder of MIDI files or MusicXML, or a bucket's prefix"
