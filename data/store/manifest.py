"""The manifest of a data folder: what the folder holds, and what it was made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from data.errors import DataError
from data.store.location import Location
from data.store.versioned import Line, Number, Word, read_versioned

MANIFEST = "manifest.json"
SCHEMA = 4
"""The version of the manifest and of the files that it describes. The third has their sums."""
KEEPS_GROUPS = 2
"""The first schema in which the group of each piece is stored with its tokens."""
KEEPS_SIGNATURES = 4
"""The first in which parts have what `data.add` needs of the pieces that are there."""


@dataclass(frozen=True)
class Addition:
    """What `data.add` added to a data set."""

    parent: Word
    """The fingerprint of that data set."""
    source: Line
    pieces: int
    rejected: dict[Line, int]
    """How many of its files were left out, by reason."""
    versions: dict[Word, Word]
    """The versions of the packages on which its tokens depend."""


@dataclass(frozen=True)
class Manifest:
    """What a data folder holds. It is written last, so a folder that has one is complete."""

    fingerprint: Word
    """A hash of pieces, splits and tokenizer; equal for equal inputs, wherever prepared."""
    source: Line
    tokenizer: Word
    ticks_per_quarter: Annotated[int, Field(gt=0)]
    vocab_size: Annotated[int, Field(gt=0, le=2**16)]
    bos_id: Annotated[int, Field(ge=0, lt=2**16)]
    splits: dict[Word, dict[Word, Number]]
    """The number of pieces, groups, tokens, notes and seconds in each split."""
    rejected: dict[Line, int]
    """How many files were left out, by reason."""
    mended: dict[Line, int]
    """How often each rule of `data.music.quantise` and `data.midi.reader` was applied."""
    thresholds: dict[Word, float]
    """Where the splits divide the range of the groups' hashes."""
    filters: dict[Word, float] = field(default_factory=dict)
    """Which filters were on, with their thresholds."""
    downloads: dict[Line, Word] = field(default_factory=dict)
    """The SHA-256 of each file that was downloaded."""
    versions: dict[Word, Word] = field(default_factory=dict)
    """The versions of the packages on which the tokens depend."""
    sums: dict[Word, Word] = field(default_factory=dict)
    """The SHA-256 of each packed file, by its name; none in data from before they were kept."""
    max_tokens: int | None = None
    """Longer pieces were cut at bar lines."""
    works: Line = ""
    """The regular expression that found works in paths; "" if there was none."""
    added: list[Addition] = field(default_factory=list)
    """What was added since, one after another; all else counts this as well."""
    schema: int = SCHEMA

    @property
    def sources(self) -> list[str]:
        """The first source, and those that were added, each once."""
        return list(dict.fromkeys([self.source, *(each.source for each in self.added)]))


def read_manifest(folder: Path | Location) -> Manifest:
    """Raises DataError if the folder holds no finished data, VersionError for a wrong manifest."""
    path = folder / MANIFEST
    try:
        return read_versioned(path, Manifest, SCHEMA, "prepare the data again, in another folder")
    except FileNotFoundError:
        message = f"no finished data at {folder}; make it with python -m data.prepare"
        raise DataError(message) from None


def write_manifest(folder: Location, manifest: Manifest) -> None:
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
