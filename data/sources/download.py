"""Files that are downloaded once, and checked.

A download that breaks off continues where it stopped, in the same run or a later one. A file
without the expected sum is deleted. What has no SHA-256 is not taken over plain HTTP, where anybody
on the way could change it. A file that is there is summed again whenever it is used.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyarrow import fs
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from data.errors import DataError
from data.store.location import Location, own_file, synced
from data.store.private import private_folder

ATTEMPTS = 8
"""How many connections in a row may break without bringing anything, before we give up."""
TIMEOUT_SECONDS = 30.0
BLOCK = 2**20
SAFE = ("https", "file")
"""Schemes of addresses by which nobody on the way can change what comes."""


@dataclass(frozen=True)
class Download:
    url: str
    sha256: str | None
    """None if none is published."""
    md5: str | None = None
    """Where that is published instead: it tells what was damaged on the way."""
    size: str = ""
    """In words; "" if it is not known."""

    @property
    def name(self) -> str:
        return self.url.partition("?")[0].rsplit("/", 1)[-1]


def fetch(wanted: Download, folder: Location, mirror: str | None = None) -> tuple[Location, str]:
    """The file in `folder`, downloaded unless it is there, and its SHA-256.

    mirror: a folder or an address that holds a file of the same name. Raises DataError.
    """
    target = folder / wanted.name
    summed = folder / f"{wanted.name}.sha256"
    if target.exists() and summed.exists():
        expected = wanted.sha256 or summed.read_bytes().decode(errors="replace")
        return target, _checked(_sum(target), expected, str(target), "; remove it")
    source = f"{mirror.rstrip('/')}/{wanted.name}" if mirror else wanted.url
    local = folder.local or private_folder("downloads")
    local.mkdir(parents=True, exist_ok=True)
    unfinished = local / f"{wanted.name}.part"
    if "://" in source:
        _download(source, unfinished, _opener(source, wanted))
    elif Path(source).is_file():
        with open(source, "rb") as mirrored, open(unfinished, "wb", opener=own_file) as file:
            shutil.copyfileobj(mirrored, file)
    else:
        raise DataError(f"the mirror has no file {source}")
    try:
        arrived = Location.of(unfinished)
        if wanted.md5:
            _checked(_sum(arrived, "md5"), wanted.md5, source, kind="MD5")
        digest = _checked(_sum(arrived), wanted.sha256, source)
    except DataError:
        unfinished.unlink()
        raise
    if folder.local:
        synced(unfinished)
        os.replace(unfinished, folder.local / wanted.name)
    else:
        fs.copy_files(str(unfinished), target.path, destination_filesystem=target.filesystem)
        unfinished.unlink()
    summed.write_text(digest)
    return target, digest


def _checked(
    found: str, expected: str | None, where: str, remedy: str = "", kind: str = "SHA-256"
) -> str:
    if expected not in (None, found):
        raise DataError(
            f"{where} has the {kind} {found}, expected {expected}: it is another file{remedy}"
        )
    return found


def _sum(file: Location, kind: str = "sha256") -> str:
    with file.open() as stream:
        return hashlib.file_digest(stream, kind).hexdigest()  # type: ignore[arg-type]


def _opener(url: str, wanted: Download) -> urllib.request.OpenerDirector:
    """What opens the address of a file. Raises DataError if nothing would tell what was changed on
    the way."""
    if wanted.sha256:
        return urllib.request.build_opener()
    _refuse_plain(url)
    return urllib.request.build_opener(_OverTls)


def _refuse_plain(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme.lower() not in SAFE:
        raise DataError(
            f"{url} comes without TLS, and we know no SHA-256 to check it by; download it by a "
            f"way that you trust, and give the folder that it is in as --mirror"
        )


class _OverTls(urllib.request.HTTPRedirectHandler):
    """Refuses to be led away from TLS, also for a step."""

    def redirect_request(
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, url: Any
    ) -> Any:
        _refuse_plain(url)
        return super().redirect_request(req, fp, code, msg, headers, url)


def _download(url: str, unfinished: Path, opener: urllib.request.OpenerDirector) -> None:
    """Append to `unfinished` what it lacks of `url`, until it is complete. Raises DataError."""
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    failures = 0
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(unfinished.stem, total=None)
        while True:
            have = unfinished.stat().st_size if unfinished.exists() else 0
            try:
                if _continue(opener, url, unfinished, have, partial(progress.update, task)):
                    return
                problem = "the connection ended early"
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise DataError(f"{url}: {error}; try --mirror") from None
                problem = str(error)
            except (OSError, http.client.HTTPException) as error:
                problem = str(error) or type(error).__name__
            grown = unfinished.exists() and unfinished.stat().st_size > have
            failures = 0 if grown else failures + 1
            if failures == ATTEMPTS:
                raise DataError(f"{url}: {problem}; the same command goes on, or try --mirror")
            time.sleep(min(0.1 * 2**failures, 10) if failures else 0)


def _continue(
    opener: urllib.request.OpenerDirector,
    url: str,
    unfinished: Path,
    have: int,
    show: Callable[..., None],
) -> bool:
    """Download what is missing. Whether all has come, by the size that the server states."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = opener.open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        # "Range not satisfiable": there is nothing beyond what we have.
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
            return True
        raise
    with response, open(unfinished, "ab", opener=own_file) as file:
        if response.status != 206:
            # This server sends the file from its beginning.
            file.truncate(0)
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        done = have
        while block := response.read(BLOCK):
            file.write(block)
            done += len(block)
            show(completed=done, total=total)
    return total is None or done == total
