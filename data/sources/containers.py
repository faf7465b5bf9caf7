"""Archives of MIDI files and of notation, divided into shards: one shard is the work of one task.

Archives are streamed and never unpacked to disk. A member is refused, with a reason, if its path is
absolute or climbs (`..`), because its name would mislead, or if it is too large for memory.
"""

from __future__ import annotations

import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

import pyarrow as pa

from data.errors import DataError
from data.sources.members import TARS, ZIP, Refused, is_member, member, shown, too_large
from data.store.location import Location

FILES_PER_SHARD = 500
STRIPE_BYTES = 16 * 2**20
"""A compressed tar can only be read from its start, so each of its tasks streams all of it."""
MAX_STRIPES = 16
MAX_HEADER_BYTES = 2**20
"""Of the long names and extended headers of a member of a tar, which are read whole, with those
that hold for the whole tar."""


class Shard(Protocol):
    @property
    def source(self) -> str:
        """Where its files lie, for a message."""
        ...

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        """(path, content) of each MIDI file, in a fixed order."""
        ...


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
                    if entry.isdir() or not is_member(entry.name):
                        continue
                    number += 1
                    if number % self.stripes == self.stripe:
                        yield shown(entry.name), self._content(tar, entry)
        # Python reads headers that follow each other by recursion.
        except (tarfile.TarError, EOFError, RecursionError, *_DAMAGED) as error:
            raise DataError(f"the archive {self.path} is broken: {error}") from None

    def _content(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes | Refused:
        if refused := _refused(entry.name):
            return refused
        if refused := too_large(entry.size):
            return refused
        file = tar.extractfile(entry) if entry.isfile() else None
        return member(entry.name, file) if file else Refused("refused", "it is a link")


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
        with archive.open(entry) as file:
            return member(entry.filename, file)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, *_DAMAGED) as error:
        return Refused("refused", f"it cannot be unpacked: {error}")


def _seekable(path: Location) -> BinaryIO:
    return path.filesystem.open_input_file(path.path)


def _zipped(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [entry for entry in archive.infolist() if is_member(entry.filename)]


def _refused(name: str) -> Refused | None:
    path = PurePosixPath(name.replace("\\", "/"))
    # A colon is in many titles, and of a drive behind one letter.
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", path.parts[0]):
        return Refused("refused", "its path leads out of the archive")
    return None


def archive(path: Location, size: int) -> list[Shard]:
    """The shards of an archive; none for any other file. Raises DataError for a broken one."""
    if path.name.lower().endswith(TARS):
        # At least two, so that two cores have work.
        stripes = min(max(2, -(-size // STRIPE_BYTES)), MAX_STRIPES)
        return [Tar(path, stripe, stripes) for stripe in range(stripes)]
    if path.name.lower().endswith(ZIP):
        try:
            with _seekable(path) as file, zipfile.ZipFile(file) as z:
                count = len(_zipped(z))
        # Arrow's, for a seek before the beginning of a file that is too short.
        except (zipfile.BadZipFile, pa.ArrowInvalid) as error:
            raise DataError(f"the source {path} of {size:,} bytes is no zip: {error}") from None
        starts = range(0, count, FILES_PER_SHARD)
        return [Zip(path, start, start + FILES_PER_SHARD) for start in starts]
    return []
