"""Sources as users name them: a corpus that is known by its name, or the path of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data.errors import DataError, hint, printable
from data.sources import folk
from data.sources.columns import Group
from data.sources.containers import Shard, Tar
from data.sources.corpora import CORPORA, Corpus
from data.sources.download import Download, fetch
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

    downloads: the folder for downloaded files. mirror: a folder or address to take them from
    instead of their own. Raises DataError.
    """
    if source == "folk":
        return folk.shards(), {}
    if source not in CORPORA:
        return shards(_path(source)), {}
    corpus = CORPORA[source]
    if corpus.archive is None:
        return shards(_given(source, corpus, mirror)), {}
    sums: dict[str, str] = {}
    for wanted in (corpus.archive, corpus.table):
        if wanted:
            _tell(corpus, wanted, downloads)
            file, sums[file.name] = fetch(wanted, downloads, mirror)
    found = shards(downloads / corpus.archive.name)
    table = known_facts(source, downloads, mirror)
    if table and table.layout.subset:
        found = [replace(shard, choice=table) for shard in found if isinstance(shard, Tar)]
    return found, sums


def _given(source: str, corpus: Corpus, mirror: str | None) -> Location:
    """The folder of a corpus that nobody can fetch for its user."""
    if mirror is None:
        raise DataError(
            f"{source} is given after a login only, at {corpus.login}, and name the folder that "
            "you have it in as --mirror"
        )
    return Location.of(mirror)


def _tell(corpus: Corpus, wanted: Download, downloads: Location) -> None:
    """Say the licence of what is about to come."""
    if not (downloads / wanted.name).exists():
        size = f", {wanted.size}" * bool(wanted.size)
        print(f"{corpus.title} ({wanted.name}{size}): {corpus.licence.said}", flush=True)


def state(
    source: str,
    found: Sequence[Shard],
    downloads: Mapping[str, str],
    facts: Table | None,
    mirror: str | None,
) -> str:
    """A digest of the names, sizes and times of a source's files, and of how they are divided: it
    is another when a file has been added, removed or changed.

    found, downloads: what `open_source` returned. facts: the table of the files, if there is one.
    """
    digest = hashlib.sha256(repr(sorted(downloads.items())).encode())
    for shard in found:
        digest.update(repr(shard).encode())
    places = [] if source in NAMED else [_path(source)]
    if source in CORPORA and CORPORA[source].archive is None:
        places = [_given(source, CORPORA[source], mirror)]
    for place in [*places, *([facts.file] if facts else [])]:
        for file in listed(place):
            digest.update(repr(file).encode())
    return digest.hexdigest()


def known_works(source: str) -> str:
    """The regular expression that finds the work in the path of a file; "" if none is known."""
    return CORPORA[source].works if source in CORPORA else ""


def known_facts(source: str, downloads: Location, mirror: str | None) -> Table | None:
    """What is known of the files of a corpus that is there, as `open_source` leaves it."""
    corpus = CORPORA.get(source)
    if corpus is None or corpus.layout is None:
        return None
    table = corpus.table or corpus.archive
    if table is None:
        folder = _given(source, corpus, mirror)
        # It may be there as mere files, too.
        told = any(isinstance(shard, Group) for shard in shards(folder))
        return Table(folder, corpus.layout) if told else None
    return Table(downloads / table.name, corpus.layout)


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
