"""A data set with something to learn, in the packed form that training reads: pieces that count."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from data.store.flat import write_split
from data.store.location import Location
from data.store.manifest import Manifest

VOCAB = 32
BOS, EOS = 0, 1
FINGERPRINT = "fake"


def write_counting(folder: Path, pieces: int = 200) -> None:
    """Write pieces that count upwards from a random token, so that the next token can be known.

    pieces: of the training split; the others have a tenth each.
    """
    data = Location.of(folder)
    generator = np.random.default_rng(0)
    for name, number in (("train", pieces), ("val", pieces // 10), ("test", pieces // 10)):
        lengths = generator.integers(20, 90, size=number)
        tokens = [
            [BOS, *((generator.integers(30) + np.arange(length - 2)) % 30 + 2), EOS]
            for length in lengths
        ]
        write_split(data, name, np.concatenate(tokens), lengths, lengths // 2, lengths / 4)
    manifest = Manifest(FINGERPRINT, "none", "abc", 24, VOCAB, BOS, {}, {}, {}, {})
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)))
