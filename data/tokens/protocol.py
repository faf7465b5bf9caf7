"""The protocol of all tokenizers: from a score to token ids and back, saved as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from data.music.score import Score


class Tokenizer(Protocol):
    name: str
    ticks_per_quarter: int
    vocab_size: int
    bos_id: int
    """Begins every piece."""
    eos_id: int
    """Ends every piece."""

    def encode(self, score: Score) -> np.ndarray:
        """The ids of a piece, (n,) uint16, from `bos_id` to `eos_id`."""
        ...

    def encode_all(self, scores: Sequence[Score]) -> list[np.ndarray]:
        """The ids of each score, as from `encode`, but faster for many."""
        ...

    def decode(self, ids: np.ndarray) -> Score:
        """The score for these ids. Raises ValueError if there is none."""
        ...

    def to_text(self, ids: np.ndarray) -> str:
        """The piece as ABC."""
        ...

    def to_json(self) -> str:
        """Everything that is needed to make the tokenizer again."""
        ...
