"""Where data, checkpoints and records are kept: in a folder that every node sees, or in a bucket.

A `Location` is used like a `pathlib.Path` and works the same way for both, by way of pyarrow's
filesystems, which Ray's checkpoints use as well. A file that it writes is whole or absent.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, TypeVar

from pyarrow import fs

from data.errors import DataError

PATIENCE_SECONDS = 120
"""How long a write waits for space on a full disk, or for a bucket that does not answer."""

BUCKET_TRIES = 11
"""Attempts at each request to a bucket. The waits between them double from 25 ms: 51 s in all."""

LINKLESS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems without hard links answer: those of memory cards, of networks and of phones."""

Result = TypeVar("Result")


@dataclass(frozen=True, order=True)
class Location:
    """A file or folder, named by its absolute path or its URI (`s3://bucket/prefix`)."""

    uri: str

    @classmethod
    def of(cls, text: str | Path) -> Location:
        """From what a user typed: a URI, or a path relative to the current folder."""
        if is_bucket(str(text)):
            return cls(str(text).rstrip("/"))
        return cls(os.path.abspath(text))

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> Location:
        return Location(f"{self.uri}/{name}")

    @property
    def name(self) -> str:
        return self.uri.rsplit("/", 1)[-1]

    @property
    def parent(self) -> Location:
        return Location(self.uri.rsplit("/", 1)[0])

    @property
    def local(self) -> Path | None:
        """The path; None in a bucket."""
        return None if is_bucket(self.uri) else Path(self.uri)

    @property
    def filesystem(self) -> fs.FileSystem:
        return _filesystem(self.uri.split("/", 3)[2]) if is_bucket(self.uri) else _LOCAL

    @property
    def path(self) -> str:
        """Its name in `filesystem`."""
        return self.uri.removeprefix(_S3)

    def exists(self) -> bool:
        return self.filesystem.get_file_info(self.path).type != fs.FileType.NotFound

    def children(self) -> list[Location]:
        """What lies directly in this folder, sorted by name; nothing if there is no such folder.

        Not what a killed process half wrote: until it is whole, a file has a hidden name.
        """
        selector = fs.FileSelector(self.path, allow_not_found=True)
        names = (info.base_name for info in self.filesystem.get_file_info(selector))
        return sorted(self / name for name in names if not name.startswith("."))

    def open(self) -> BinaryIO:
        """A stream of its bytes. Raises FileNotFoundError."""
        # Left to itself, Arrow unpacks what has the name of something packed.
        return self.filesystem.open_input_stream(self.path, compression=None)

    def read_bytes(self) -> bytes:
        with self.open() as stream:
            return stream.read()

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def write_bytes(self, data: bytes) -> None:
        def write() -> None:
            with self.writing() as file:
                file.write_bytes(data)

        patiently(write)

    def write_text(self, text: str) -> None:
        self.write_bytes(text.encode())

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """A path at which to write a file; when the block ends, the whole file is moved here."""
        if self.local is None:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / self.name
                yield file
                _upload(file, self)
            return
        self.local.parent.mkdir(parents=True, exist_ok=True)
        # A unique name, as a task may have been started again while it still runs elsewhere.
        aside = self.local.with_name(f".{uuid.uuid4().hex}.{self.name}")
        try:
            yield aside
            synced(aside)
            os.replace(aside, self.local)
        finally:
            aside.unlink(missing_ok=True)

    @contextlib.contextmanager
    def writing_folder(self) -> Iterator[Path]:
        """A folder to write files to; when the block ends, they are in this one."""
        if self.local is not None:
            self.local.mkdir(parents=True, exist_ok=True)
            yield self.local
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    _upload(file, self / file.relative_to(folder).as_posix())

    def take(self, other: Location) -> None:
        """Hold what another file holds, by a link if their disk has them: a file that is whole is
        never written to again."""
        if self.local and other.local:
            self.local.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(other.local, self.local)
                return
            except FileExistsError:
                return
            except OSError as error:
                if error.errno not in (*LINKLESS, errno.EXDEV):
                    raise
        with self.writing() as file:
            fs.copy_files(other.path, str(file), source_filesystem=other.filesystem)

    def delete(self) -> None:
        """Remove a file, or a folder with everything in it; nothing happens if there is none."""
        kind = self.filesystem.get_file_info(self.path).type
        if kind == fs.FileType.Directory:
            self.filesystem.delete_dir(self.path)
        elif kind == fs.FileType.File:
            self.filesystem.delete_file(self.path)


def patiently(write: Callable[[], Result], seconds: float = PATIENCE_SECONDS) -> Result:
    """Call `write`, and again while the storage is full or does not answer; return its result.

    seconds: how long to wait in all. Raises the last OSError if that is not enough; other errors,
    such as PermissionError, are raised at once.
    """
    waited, wait = 0.0, 0.5
    while True:
        try:
            return write()
        except OSError as error:
            # The errors of a bucket have no number.
            passing = error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ETIMEDOUT)
            if not passing or waited + wait > seconds:
                raise
        time.sleep(wait)
        waited, wait = waited + wait, min(5.0, 2 * wait)


def synced(file: Path) -> None:
    """Have a file on the disk: after a loss of power, a name that was moved before what it names
    would stand for nothing."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def named(aside: Path, path: Path) -> None:
    """Give a whole file on the same disk this name, unless there is one of that name: of processes
    that come here at once, all go on with the file of one."""
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in LINKLESS:
            raise
        if not path.exists():
            os.replace(aside, path)


def own_file(path: str, flags: int) -> int:
    """An `opener` for what is written in place, which is no link: in a folder that came from
    elsewhere, one may lead to any file of the user's.

    Raises DataError for a link, and for whatever else is no regular file.
    """
    try:
        # A named pipe would be waited for.
        opened = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError:
        if os.path.lexists(path):
            _refuse_irregular(path, os.lstat(path).st_mode)
        raise
    try:
        _refuse_irregular(path, os.fstat(opened).st_mode)
    except DataError:
        os.close(opened)
        raise
    return opened


def _refuse_irregular(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: found {stat.filemode(mode)}, expected a plain file; remove it")


_S3 = "s3://"
_LOCAL = fs.LocalFileSystem()


def is_bucket(text: str) -> bool:
    return text.startswith(_S3)


@lru_cache
def _filesystem(bucket: str) -> fs.FileSystem:
    # Made once in each process, because it asks for the bucket's region.
    found = patiently(lambda: fs.FileSystem.from_uri(f"{_S3}{bucket}")[0])
    return fs.S3FileSystem(
        region=found.region,
        # Only `from_uri` reads these by itself.
        endpoint_override=os.environ.get("AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL")),
        retry_strategy=fs.AwsDefaultS3RetryStrategy(max_attempts=BUCKET_TRIES),
    )


def _upload(file: Path, target: Location) -> None:
    # An object appears only when its upload is complete.
    fs.copy_files(str(file), target.path, destination_filesystem=target.filesystem)
