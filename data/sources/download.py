"""Corpora that are downloaded once from where their makers publish them, and checked.

A download that breaks off continues where it stopped, in the same run or a later one. A file
without the expected SHA-256 is deleted. The sums for Lakh full and matched come from MusPy's table
(muspy/datasets/lmd.py; the site itself publishes none), and the sum for MAESTRO is the one that
many public repositories quote. We know of none for Lakh clean; the manifest records what was found.
What has no sum is not taken over plain HTTP, where anybody on the way could change it. An archive
that is there is summed again whenever it is used.
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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pyarrow import fs
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from data.errors import DataError
from data.sources.licences import Licence
from data.store.location import Location, own_file, synced
from data.store.private import private_folder

ATTEMPTS = 8
"""How many connections in a row may break without bringing anything, before we give up."""
TIMEOUT_SECONDS = 30.0
BLOCK = 2**20
SAFE = ("https", "file")
"""Schemes of addresses by which nobody on the way can change what comes."""


@dataclass(frozen=True)
class Corpus:
    url: str
    sha256: str | None
    """None if none is published."""
    licence: Licence
    title: str
    works: str = ""
    """A regular expression that finds in a path the work of which the file is a version."""
    table: str = ""
    """How the name of a table in the archive ends, by `data.sources.facts`,"""
    facts: Mapping[str, str] = field(default_factory=dict)
    """and what its columns are called."""

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


_LAKH = "http://hog.ee.columbia.edu/craffel/lmd"
_LAKH_LICENCE = Licence("cc-by-4.0", "The collection is CC BY 4.0; the songs are their owners'.")


CORPORA = {
    "lakh-full": Corpus(
        f"{_LAKH}/lmd_full.tar.gz",
        "6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
        _LAKH_LICENCE,
        "Lakh MIDI",
    ),
    "lakh-matched": Corpus(
        f"{_LAKH}/lmd_matched.tar.gz",
        "621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191",
        _LAKH_LICENCE,
        "Lakh MIDI, matched to the Million Song Dataset",
        # The track of the Million Song Dataset: lmd_matched/A/A/A/TRAAAGR128F425B14B/1d9d....mid.
        works="TR[A-Z0-9]{16}",
    ),
    "lakh-clean": Corpus(
        f"{_LAKH}/clean_midi.tar.gz", None, _LAKH_LICENCE, "Lakh MIDI, named by artist and title"
    ),
    "maestro": Corpus(
        "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip",
        "70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
        Licence("cc-by-nc-sa-4.0", "CC BY-NC-SA 4.0."),
        "MAESTRO v3, piano performances",
        table="maestro-v3.0.0.csv",
        facts={
            "path": "midi_filename",
            "composer": "canonical_composer",
            "work": "canonical_title",
        },
    ),
}


def fetch(corpus: Corpus, folder: Location, mirror: str | None = None) -> tuple[Location, str]:
    """The archive of a corpus in `folder`, downloaded unless it is there, and its SHA-256.

    mirror: a folder or an address that holds a file of the same name. Raises DataError.
    """
    target = folder / corpus.name
    summed = folder / f"{corpus.name}.sha256"
    if target.exists() and summed.exists():
        wanted = corpus.sha256 or summed.read_bytes().decode(errors="replace")
        return target, _checked(_sha256(target), wanted, str(target), "; remove it")
    source = f"{mirror.rstrip('/')}/{corpus.name}" if mirror else corpus.url
    local = folder.local or private_folder("downloads")
    local.mkdir(parents=True, exist_ok=True)
    unfinished = local / f"{corpus.name}.part"
    if "://" in source:
        _download(source, unfinished, _opener(source, corpus))
    elif Path(source).is_file():
        with open(source, "rb") as mirrored, open(unfinished, "wb", opener=own_file) as file:
            shutil.copyfileobj(mirrored, file)
    else:
        raise DataError(f"the mirror has no file {source}")
    try:
        digest = _checked(_sha256(Location.of(unfinished)), corpus.sha256, source)
    except DataError:
        unfinished.unlink()
        raise
    if folder.local:
        synced(unfinished)
        os.replace(unfinished, folder.local / corpus.name)
    else:
        fs.copy_files(str(unfinished), target.path, destination_filesystem=target.filesystem)
        unfinished.unlink()
    summed.write_text(digest)
    return target, digest


def _checked(found: str, wanted: str | None, where: str, remedy: str = "") -> str:
    if wanted not in (None, found):
        raise DataError(
            f"{where} has the SHA-256 {found}, expected {wanted}: it is another file{remedy}"
        )
    return found


def _sha256(file: Location) -> str:
    with file.open() as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _opener(url: str, corpus: Corpus) -> urllib.request.OpenerDirector:
    """What opens the address of a corpus. Raises DataError if nothing would tell what was changed
    on the way."""
    if corpus.sha256:
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
