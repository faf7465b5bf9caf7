"""The tokenizer that knows the notation: the tokens of the ABC dialect."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from data.abc.dialect import END, HEADER, vocabulary
from data.abc.reader import read
from data.abc.writer import write
from data.music.score import DEFAULT_TICKS_PER_QUARTER, Score


class AbcTokenizer:
    """The tokens of a piece, joined, are its ABC text.

    The vocabulary is that of `data.abc.dialect`: fixed, not learnt from data.
    """

    name = "abc"

    def __init__(self, ticks_per_quarter: int = DEFAULT_TICKS_PER_QUARTER) -> None:
        self.ticks_per_quarter = ticks_per_quarter
        self.tokens = vocabulary()
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        self._texts = np.array(self.tokens, object)
        self.vocab_size = len(self.tokens)
        self.bos_id, self.eos_id = self.ids[HEADER], self.ids[END]

    def encode(self, score: Score) -> np.ndarray:
        return self.encode_all([score])[0]

    def encode_all(self, scores: Sequence[Score]) -> list[np.ndarray]:
        return write(scores)

    def decode(self, ids: np.ndarray) -> Score:
        return read([self.tokens[index] for index in ids.tolist()], self.ticks_per_quarter)

    def to_text(self, ids: np.ndarray) -> str:
        return "".join(self._texts[ids].tolist())

    def to_json(self) -> str:
        fields = {
            "name": self.name,
            "ticks_per_quarter": self.ticks_per_quarter,
            "tokens": self.tokens,
        }
        return json.dumps(fields, indent=1)
