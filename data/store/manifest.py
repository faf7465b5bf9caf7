"""The manifest of a data folder: what it holds, and of what it was made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.store.errors import DataError
from data.store.location import Location
from data.store.versioned import VersionError, read_versioned

MANIFEST = "manifest.json"
SCHEMA = 2
"""Of a manifest and the files that it stands for."""
KEEPS_GROUPS = 2
"""The first schema that keeps the group of each piece with its tokens."""


@dataclass(frozen=True)
class Manifest:
    """What a data folder holds. It is written last: where it is, the folder is complete."""

    fingerprint: str
    """Of pieces, splits and tokenizer; the same for the same inputs, wherever prepared."""
    source: str
    tokenizer: str
    ticks_per_quarter: int
    vocab_size: int
    bos_id: int
    splits: dict[str, dict[str, Any]]
    """Pieces, groups, tokens, notes and seconds of each split."""
    rejected: dict[str, int]
    """Files left out, by reason."""
    mended: dict[str, int]
    """How often each rule of `data.music.score` and `data.midi.reader` was applied."""
    thresholds: dict[str, float]
    """Where the splits divide the hash of the group."""
    filters: dict[str, float] = field(default_factory=dict)
    """Which filters were on, with their thresholds."""
    downloads: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of each file that was downloaded."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the packages that the tokens depend on."""
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
