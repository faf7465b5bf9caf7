"""Archives of MIDI files and of notation, divided into shards: one shard is the work of one task.

Archives are streamed and their members never written under their own names. A member is refused,
with a reason, if its path is absolute or climbs (`..`), because its name would mislead, or if it is
too large for memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, Protocol, TypeVar

import pyarrow as pa

from data.errors import DataError
from data.sources.members import (
    TARS,
    ZIP,
    Refused,
    bounded,
    is_member,
    member,
    shown,
    too_large,
)
from data.store.location import Location

FILES = 125
"""Most files of a shard,"""
BYTES = 2**20
"""and how many bytes end it: less than a second's work."""
ALIKE = 256
"""Shards after which the next are twice as large,"""
DOUBLINGS = 4
"""so often, that a million files are not ten thousand tasks."""
BLOCK = 2**20
"""Bytes of an archive that are read at once."""
MAX_HEADER_BYTES = 2**20
"""Of the long names and extended headers of a member of a tar, which are read whole, with those
that hold for the whole tar."""

Item = TypeVar("Item")


def portions(files: Iterable[tuple[Item, int]], made: int = 0) -> Iterator[list[Item]]:
    """The files of one task each, from files with their sizes in bytes.

    made: shards that the source has besides. It goes by the source alone, and not by the cluster: a
    cluster of another size goes on with what one has begun.
    """
    portion: list[Item] = []
    size = 0
    for file, length in files:
        portion.append(file)
        size += length
        larger = 2 ** min(made // ALIKE, DOUBLINGS)
        if len(portion) >= FILES * larger or size >= BYTES * larger:
            yield portion
            portion, size, made = [], 0, made + 1
    if portion:
        yield portion


class Shard(Protocol):
    @property
    def source(self) -> str:
        """Where its files lie, for a message."""
        ...

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        """(path, content) of each MIDI file, in a fixed order."""
        ...


class Choice(Protocol):
    """Says which members of an archive are taken."""

    def chosen(self) -> Callable[[str], Refused | None]:
        """Why a member is left out, by its path; None if it is not."""
        ...


@dataclass(frozen=True)
class Tar:
    """A tar, which is read from its start to its end."""

    path: Location
    choice: Choice | None = None

    @property
    def source(self) -> str:
        return str(self.path)

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        for path, content in self.members():
            yield path, content if isinstance(content, Refused) else unpacked(path, content)

    def members(self) -> Iterator[tuple[str, bytes | Refused]]:
        """As `read`, but with what is in the tar, be it MIDI or what is played as MIDI."""
        left_out = self.choice.chosen() if self.choice else lambda path: None
        with streamed(self.path) as tar:
            # Not `in tar`, which counts the members that it keeps.
            for entry in iter(tar.next, None):
                if entry.isdir() or not is_member(entry.name):
                    continue
                path = shown(entry.name)
                yield path, left_out(path) or self._content(tar, entry)

    def _content(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes | Refused:
        if refused := _refused(entry.name):
            return refused
        if refused := too_large(entry.size):
            return refused
        file = tar.extractfile(entry) if entry.isfile() else None
        return bounded(file) if file else Refused("refused", "it is a link")


def unpacked(path: str, content: bytes) -> bytes | Refused:
    """The MIDI file in a member of this path."""
    return member(path, io.BytesIO(content))


@contextmanager
def streamed(path: Location) -> Iterator[tarfile.TarFile]:
    """A tar that is read from its start. Raises DataError if it is broken."""
    try:
        with (
            path.open() as stream,
            _plain(io.BufferedReader(stream, BLOCK)) as content,  # type: ignore[arg-type]
            _Streamed.open(fileobj=content, mode="r|", tarinfo=_Entry, bufsize=BLOCK) as tar,
        ):
            yield tar
    # Python reads headers that follow each other by recursion.
    except (tarfile.TarError, EOFError, RecursionError, *_DAMAGED) as error:
        raise DataError(f"the archive {path} is broken: {error}") from None


def _plain(stream: io.BufferedReader) -> IO[bytes]:
    """What a stream holds, however it is packed. Left to itself, `tarfile` takes one that ends
    early for one that ends."""
    head = stream.peek(8)
    for mark, opened in _PACKED.items():
        if head.startswith(mark):
            return opened(stream)
    return stream


_PACKED: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}


@contextmanager
def named_in(path: Location, ending: str) -> Iterator[BinaryIO]:
    """The first file of a tar whose name ends so. Raises DataError if there is none."""
    with streamed(path) as tar:
        for entry in iter(tar.next, None):
            file = tar.extractfile(entry) if entry.name.endswith(ending) else None
            if file:
                yield file  # type: ignore[misc]
                return
        raise DataError(f"the archive {path} has no {ending}")


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


def archive(path: Location, size: int, made: int = 0) -> list[Shard]:
    """The shards of an archive; none for any other file. Raises DataError for a broken one.

    size: of the file, in bytes. made: shards that the source has besides.
    """
    if path.name.lower().endswith(TARS):
        return [Tar(path)]
    if path.name.lower().endswith(ZIP):
        try:
            with _seekable(path) as file, zipfile.ZipFile(file) as z:
                sizes = [entry.file_size for entry in _zipped(z)]
        # Arrow's, for a seek before the beginning of a file that is too short.
        except (zipfile.BadZipFile, pa.ArrowInvalid) as error:
            raise DataError(f"the source {path} of {size:,} bytes is no zip: {error}") from None
        return [Zip(path, some[0], some[-1] + 1) for some in portions(enumerate(sizes), made)]
    return []
