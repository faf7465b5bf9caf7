"""The top lines of the training split, drawn from its tokens once and kept beside them."""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np

from data.store.flat import local_copy, open_split
from data.store.location import Location
from data.store.manifest import read_manifest
from data.tokens.protocol import Tokenizer
from data.works import signatures
from trainers.samples.apart import Apart
from trainers.samples.novelty import joined

SLICE_TOKENS = 2**21
"""Tokens of one task, about: a second of work."""


def training_lines(tokenizer: Tokenizer, data: Location, apart: Apart) -> np.ndarray:
    """The runs of every training piece, as `novelty.joined` puts them together."""
    kept = data / f"lines-{_digest(data)}.npy"
    if kept.exists():
        return np.load(io.BytesIO(kept.read_bytes()))
    slices = list(pairwise(bounds(open_split(local_copy(data), "train").starts)))
    parts = []
    for part in apart(lines_of, slices, (tokenizer, data)):
        if isinstance(part, Exception):
            raise part
        parts.append(part)
    lines = joined(parts)
    # The data may be another's, to be read only.
    with suppress(OSError), kept.writing() as path, path.open("wb") as file:
        np.save(file, lines)
    return lines


def bounds(starts: np.ndarray) -> list[int]:
    """Pieces at which to divide a split into slices of about `SLICE_TOKENS`, both ends included.

    starts: (pieces + 1,), as of `data.store.flat.Split`.
    """
    begin = np.searchsorted(starts[:-1], np.arange(0, starts[-1], SLICE_TOKENS))
    return np.unique([*begin, len(starts) - 1]).tolist()


def lines_of(tokenizer: Tokenizer, data: Location, first: int, stop: int) -> np.ndarray:
    """Those of the training pieces from `first` to before `stop`."""
    split = open_split(local_copy(data), "train")
    places = pairwise(split.starts[first : stop + 1].tolist())
    return joined(
        line for a, b in places for line in signatures.lines(tokenizer.decode(split.tokens[a:b]))
    )


def _digest(data: Location) -> str:
    """Of the data and of the code that draws lines."""
    code = Path(signatures.__file__).read_bytes()
    return hashlib.sha256(read_manifest(data).fingerprint.encode() + code).hexdigest()[:16]
