"""Sources as users name them: a corpus that is known by its name, or the path of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.errors import DataError, hint, printable
from data.sources import folk
from data.sources.containers import Shard
from data.sources.download import CORPORA, fetch
from data.sources.facts import Table
from data.sources.folders import listed, shards
from data.sources.licences import UNKNOWN, Licence
from data.store.location import Location, is_bucket

NAMED = ("folk", *CORPORA)


def check_source(source: str) -> None:
    """Raises DataError unless the source is known by name, or holds something to read."""
    if source not in NAMED:
        shards(_path(source))


def open_source(
    source: str, downloads: Location, mirror: str | None
) -> tuple[list[Shard], dict[str, str]]:
    """The shards of a source, and the SHA-256 of each file that was downloaded for it.

    downloads: the folder for downloaded archives. mirror: a folder or address to take them from
    instead of their own.
    """
    if source == "folk":
        return folk.shards(), {}
    if source not in CORPORA:
        return shards(_path(source)), {}
    archive, digest = fetch(CORPORA[source], downloads, mirror)
    return shards(archive), {archive.name: digest}


def state(
    source: str, found: Sequence[Shard], downloads: Mapping[str, str], facts: Table | None
) -> str:
    """A digest of the names, sizes and times of a source's files, and of how they are divided: it
    is another when a file has been added, removed or changed.

    found, downloads: what `open_source` returned. facts: the table of the files, if there is one.
    """
    digest = hashlib.sha256(repr(sorted(downloads.items())).encode())
    for shard in found:
        digest.update(repr(shard).encode())
    places = [] if source in NAMED else [_path(source)]
    for place in [*places, *([facts.file] if facts else [])]:
        for file in listed(place):
            digest.update(repr(file).encode())
    return digest.hexdigest()


def known_works(source: str) -> str:
    """The regular expression that finds the work in the path of a file; "" if none is known."""
    return CORPORA[source].works if source in CORPORA else ""


def known_facts(source: str, downloads: Location) -> Table | None:
    """What is known of the files of a corpus that has been downloaded."""
    corpus = CORPORA.get(source)
    if corpus is None or not corpus.facts:
        return None
    return Table(downloads / corpus.name, corpus.facts, corpus.table)


def known_licence(source: str) -> Licence:
    """Under which a source may be used; `UNKNOWN` for a user's own."""
    if source == "folk":
        return folk.LICENCE
    return CORPORA[source].licence if source in CORPORA else UNKNOWN


def joint_licence(sources: Sequence[str]) -> Licence:
    """Under which all of several sources may be used."""
    licences = {source: known_licence(source) for source in sources}
    first, *others = dict.fromkeys(licences.values())
    if not others:
        return first
    said = (f"{printable(title_of(name))}: {each.said}" for name, each in licences.items())
    return Licence("other", " ".join(said))


def title_of(source: str) -> str:
    """A corpus in words; of a path, the name alone."""
    if source == "folk":
        return folk.TITLE
    return CORPORA[source].title if source in CORPORA else Path(source).name


def _path(source: str) -> Location:
    if not is_bucket(source) and "/" not in source and not Path(source).exists():
        guess = hint(source, NAMED)
        raise DataError(
            f"unknown source {source!r}{guess}; or give the path of a folder or archive"
        )
    return Location.of(source)
