"""Folders and archives of MIDI files, and folders of ABC, divided into shards: one shard is the
work of one task.

Archives are streamed and never unpacked to disk. A member is refused, with a reason, if its path is
absolute or climbs (`..`), because its name would mislead, or if it is too large for memory.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from pyarrow import fs

from data.abc.dialect import AbcError
from data.errors import DataError
from data.music.files import to_midi
from data.music.score import DEFAULT_TICKS_PER_QUARTER
from data.notation import tunes
from data.store.location import Location

FILES_PER_SHARD = 500
BOOKS_PER_SHARD = 20
"""A book may have a thousand tunes."""
MIDI = (".mid", ".midi")
ABC = ".abc"
TARS = (".tar", ".tar.gz", ".tgz")
ZIP = ".zip"
MAX_BYTES = 16 * 2**20
"""Of one file. The largest file of the Lakh corpus has less than 4 MiB."""
STRIPE_BYTES = 16 * 2**20
"""A compressed tar can only be read from its start, so each of its tasks streams all of it."""
MAX_STRIPES = 16
MAX_HEADER_BYTES = 2**20
"""Of the long names and extended headers of a member of a tar, which are read whole, with those
that hold for the whole tar."""


@dataclass(frozen=True)
class Refused:
    """Why a file is left out: a reason to be counted, and a detail to be read."""

    reason: str
    detail: str


class Shard(Protocol):
    @property
    def source(self) -> str:
        """Where its files lie, for a message."""
        ...

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        """(path, content) of each MIDI file, in a fixed order."""
        ...


@dataclass(frozen=True)
class Files:
    """Some of the MIDI files below a folder or a bucket's prefix."""

    folder: Location
    members: tuple[str, ...]

    @property
    def source(self) -> str:
        return str(self.folder)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        for member in self.members:
            # Python opens a name that is not UTF-8, Arrow does not.
            file = self.folder / member
            with open(file.local, "rb") if file.local else file.open() as stream:
                yield _shown(member), _bounded(stream.read(MAX_BYTES + 1))


@dataclass(frozen=True)
class Books:
    """Some of the ABC files below a folder or a bucket's prefix: each tune is a MIDI file."""

    folder: Location
    members: tuple[str, ...]

    @property
    def source(self) -> str:
        return str(self.folder)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        for name, content in Files(self.folder, self.members).read():
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
class Tar:
    """Every `stripes`-th MIDI file of a tar, beginning with number `stripe`."""

    path: Location
    stripe: int = 0
    stripes: int = 1

    @property
    def source(self) -> str:
        return str(self.path)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        try:
            with (
                self.path.open() as stream,
                _Streamed.open(fileobj=stream, mode="r|*", tarinfo=_Entry) as tar,
            ):
                number = -1
                # Not `in tar`, which counts the members that it keeps.
                for entry in iter(tar.next, None):
                    if entry.isdir() or not entry.name.lower().endswith(MIDI):
                        continue
                    number += 1
                    if number % self.stripes == self.stripe:
                        yield _shown(entry.name), self._content(tar, entry)
        # Python reads headers that follow each other by recursion.
        except (tarfile.TarError, OSError, EOFError, zlib.error, RecursionError) as error:
            raise DataError(f"the archive {self.path} is broken: {error}") from None

    def _content(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes | Refused:
        if refused := _refused(entry.name):
            return refused
        if entry.size > MAX_BYTES:
            return _too_large(entry.size)
        file = tar.extractfile(entry) if entry.isfile() else None
        return file.read() if file else Refused("refused", "it is a link")


class _Streamed(tarfile.TarFile):
    """A tar that keeps no member that has been read, of which there may be any number."""

    header_bytes = 0
    """Of headers that are held in memory."""

    def next(self) -> tarfile.TarInfo | None:
        self.members.clear()  # type: ignore[attr-defined]
        return super().next()


class _Entry(tarfile.TarInfo):
    """A member of a tar, whose headers are small: they are read into memory whole."""

    def _proc_member(self, tar: _Streamed) -> tarfile.TarInfo:
        if self.type not in _LONG:
            return super()._proc_member(tar)  # type: ignore[misc]
        tar.header_bytes += self.size
        if tar.header_bytes > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"headers of {tar.header_bytes:,} bytes")
        entry = super()._proc_member(tar)  # type: ignore[misc]
        if self.type != tarfile.XGLTYPE:  # That one is held for all that follows.
            tar.header_bytes -= self.size
        return entry


_LONG = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


def _shown(name: str) -> str:
    """A name whose bytes are not all UTF-8, with the others escaped."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


@dataclass(frozen=True)
class Zip:
    """Some members of a zip, by their places in its directory."""

    path: Location
    first: int
    stop: int

    @property
    def source(self) -> str:
        return str(self.path)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        with _seekable(self.path) as file, zipfile.ZipFile(file) as z:
            for entry in _zipped(z)[self.first : self.stop]:
                if refused := _refused(entry.filename):
                    yield entry.filename, refused
                elif entry.flag_bits & 1:
                    yield entry.filename, Refused("refused", "it is encrypted")
                else:
                    yield entry.filename, _unzipped(z, entry)


_DAMAGED = (zlib.error, lzma.LZMAError, OSError)
"""What the decompressors raise; that of bzip2, OSError."""


def _unzipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | Refused:
    try:
        # The size that the directory states need not be true.
        with archive.open(entry) as member:
            return _bounded(member.read(MAX_BYTES + 1))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, *_DAMAGED) as error:
        return Refused("refused", f"it cannot be unpacked: {error}")


def _seekable(path: Location) -> BinaryIO:
    return path.filesystem.open_input_file(path.path)


def _zipped(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [entry for entry in archive.infolist() if entry.filename.lower().endswith(MIDI)]


def _refused(name: str) -> Refused | None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        return Refused("refused", "its path leads out of the archive")
    return None


def _too_large(size: int) -> Refused:
    return Refused("refused", f"it has {size:,} bytes, more than {MAX_BYTES:,}")


def _bounded(content: bytes) -> bytes | Refused:
    return content if len(content) <= MAX_BYTES else _too_large(len(content))


def shards(path: Location) -> list[Shard]:
    """The shards of an archive, or of a folder or prefix of MIDI files and archives; or of ABC, if
    it has none of these.

    Raises DataError if nothing is there, or nothing that can be read.
    """
    info = path.filesystem.get_file_info(path.path)
    if info.type == fs.FileType.File:
        found = _archive(path, info.size)
        if found:
            return found
        raise DataError(f"the source {path} is no tar, zip or folder; expected {_EXPECTED}")
    if info.type != fs.FileType.Directory:
        raise DataError(f"no source at {path}: expected {_EXPECTED}")
    names = _below(path.local) if path.local else _below_prefix(path)
    loose = [name for name, _ in names if name.lower().endswith(MIDI)]
    groups = [loose[i : i + FILES_PER_SHARD] for i in range(0, len(loose), FILES_PER_SHARD)]
    found = [Files(path, tuple(group)) for group in groups]
    found += [shard for name, size in names for shard in _archive(path / name, size)]
    if not found:
        # Beside MIDI files, ABC often holds the same music.
        books = [name for name, _ in names if name.lower().endswith(ABC)]
        starts = range(0, len(books), BOOKS_PER_SHARD)
        found = [Books(path, tuple(books[i : i + BOOKS_PER_SHARD])) for i in starts]
    if not found:
        raise DataError(
            f"the source {path} is empty: it holds no .mid file, no tar, no zip and no .abc file"
        )
    return found


def _below(folder: Path) -> list[tuple[str, int]]:
    """The path and size of every file below a folder, sorted.

    Links are followed, but no folder is entered twice: a link may lead back to where it is.
    """
    found, entered = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = os.stat(place)
        if (here.st_dev, here.st_ino) in entered:
            folders.clear()
            continue
        entered.add((here.st_dev, here.st_ino))
        # The order decides by which of several links a folder is entered.
        folders.sort()
        for name in names:
            file = Path(place, name)
            if file.is_file():
                found.append((file.relative_to(folder).as_posix(), file.stat().st_size))
    return sorted(found)


def _below_prefix(path: Location) -> list[tuple[str, int]]:
    below = path.filesystem.get_file_info(fs.FileSelector(path.path, recursive=True))
    files = sorted((file.path, file.size) for file in below if file.type == fs.FileType.File)
    return [(name.removeprefix(path.path).lstrip("/"), size) for name, size in files]


_EXPECTED = "a tar, a zip, a folder of MIDI files or a bucket's prefix"


def _archive(path: Location, size: int) -> list[Shard]:
    """The shards of an archive; none for any other file."""
    if path.name.endswith(TARS):
        # At least two, so that two cores have work.
        stripes = min(max(2, -(-size // STRIPE_BYTES)), MAX_STRIPES)
        return [Tar(path, stripe, stripes) for stripe in range(stripes)]
    if path.name.lower().endswith(ZIP):
        try:
            with _seekable(path) as file, zipfile.ZipFile(file) as z:
                count = len(_zipped(z))
        except zipfile.BadZipFile as error:
            raise DataError(f"the source {path} is no zip: {error}") from None
        starts = range(0, count, FILES_PER_SHARD)
        return [Zip(path, start, start + FILES_PER_SHARD) for start in starts]
    return []
