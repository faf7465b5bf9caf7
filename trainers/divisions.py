"""The divisions of a split by which its loss is told: by origin, by kind of token, by place."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from data.origin import ORIGINS, kept_origins
from data.store.flat import Split, open_split
from data.store.versioned import VersionError
from data.tokens.kinds import KINDS, kinds
from data.tokens.make import load_tokenizer
from trainers.evaluate import Parts

QUARTERS = ("quarter_1", "quarter_2", "quarter_3", "quarter_4")
"""Of a piece, by its tokens."""


def divisions(data: Path, name: str) -> list[Parts]:
    """Those of a split of a data folder; by kind only where its tokenizer lies there, and is one of
    this version."""
    split = open_split(data, name)
    found = [Parts(ORIGINS, kept_origins(data, name)), Parts(QUARTERS, quarters(split))]
    with suppress(FileNotFoundError, VersionError):
        tokenizer = load_tokenizer(data / "tokenizer.json")
        found.append(Parts(KINDS, kinds(tokenizer, split.tokens)))
    return found


def quarters(split: Split) -> np.ndarray:
    """Which quarter of its piece each token stands in, (n,) uint8."""
    lengths = np.diff(split.starts)
    place = np.arange(len(split.tokens)) - np.repeat(split.starts[:-1], lengths)
    return (4 * place // np.repeat(lengths, lengths)).astype(np.uint8)
