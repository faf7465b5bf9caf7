"""Tokenizers: a score to token ids and back, behind one protocol, saved as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from data.abc_tokenizer import AbcTokenizer
from data.score import Score

GRIDS = (8, 12, 24)
"""Ticks a quarter that lengths can be spelled on."""


class Tokenizer(Protocol):
    name: str
    ticks_per_quarter: int
    vocab_size: int
    bos_id: int
    """Opens every piece."""
    eos_id: int
    """Ends every piece."""

    def encode(self, score: Score) -> np.ndarray:
        """The ids of a piece, (n,) uint16, from `bos_id` to `eos_id`."""
        ...

    def encode_all(self, scores: Sequence[Score]) -> list[np.ndarray]:
        """The ids of each, as `encode` gives them; faster for many."""
        ...

    def decode(self, ids: np.ndarray) -> Score:
        """The score that the ids spell. Raises ValueError if they spell none."""
        ...

    def to_text(self, ids: np.ndarray) -> str:
        """The piece as ABC."""
        ...

    def to_json(self) -> str:
        """All that is needed to make the tokenizer again."""
        ...


TOKENIZERS = ("abc", "remi", "tsd")


def make_tokenizer(name: str, ticks_per_quarter: int) -> Tokenizer:
    """One of `TOKENIZERS`. Raises ValueError for a grid that it cannot spell."""
    if ticks_per_quarter not in GRIDS:
        raise ValueError(f"ticks_per_quarter is {ticks_per_quarter}, expected one of {GRIDS}")
    if name == "abc":
        return AbcTokenizer(ticks_per_quarter)
    from data.midi_tokenizers import MidiTokTokenizer

    return MidiTokTokenizer(name, ticks_per_quarter)


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer that `to_json` wrote. Raises ValueError if it is another vocabulary by now."""
    fields = json.loads(path.read_text())
    tokenizer = make_tokenizer(fields["name"], fields["ticks_per_quarter"])
    if tokenizer.to_json() != path.read_text():
        raise ValueError(f"{path}: written by another version; prepare the data again")
    return tokenizer
