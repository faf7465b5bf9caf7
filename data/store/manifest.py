"""The manifest of a data folder: what the folder holds, and what it was made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.store.location import Location
from data.store.versioned import VersionError, read_versioned

MANIFEST = "manifest.json"
SCHEMA = 2
"""The version of the manifest and of the files that it describes."""
KEEPS_GROUPS = 2
"""The first schema in which the group of each piece is stored with its tokens."""


@dataclass(frozen=True)
class Manifest:
    """What a data folder holds. It is written last, so a folder that has one is complete."""

    fingerprint: str
    """A hash of pieces, splits and tokenizer; equal for equal inputs, wherever prepared."""
    source: str
    tokenizer: str
    ticks_per_quarter: int
    vocab_size: int
    bos_id: int
    splits: dict[str, dict[str, Any]]
    """The number of pieces, groups, tokens, notes and seconds in each split."""
    rejected: dict[str, int]
    """How many files were left out, by reason."""
    mended: dict[str, int]
    """How often each rule of `data.music.quantise` and `data.midi.reader` was applied."""
    thresholds: dict[str, float]
    """Where the splits divide the range of the groups' hashes."""
    filters: dict[str, float] = field(default_factory=dict)
    """Which filters were on, with their thresholds."""
    downloads: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of each file that was downloaded."""
    versions: dict[str, str] = field(default_factory=dict)
    """The versions of the packages on which the tokens depend."""
    schema: int = SCHEMA


def read_manifest(folder: Path | Location) -> Manifest:
    path = folder / MANIFEST
    if not path.exists():
        raise DataError(f"no finished data at {folder}; make it with python -m data.prepare")
    try:
        return Manifest(**read_versioned(path, SCHEMA))
    except VersionError as error:
        raise DataError(str(error)) from None


def write_manifest(folder: Location, manifest: Manifest) -> None:
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
