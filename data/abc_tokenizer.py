"""The music-aware tokenizer: ABC by the token."""

from __future__ import annotations

import json

import numpy as np

from data import abc, abc_writer
from data.score import Score


class AbcTokenizer:
    """ABC by the token: the texts of a piece's tokens, joined, are its ABC.

    The vocabulary is that of `data.abc`, fixed and not learnt from data.
    """

    name = "abc"

    def __init__(self, ticks_per_quarter: int = 24) -> None:
        self.ticks_per_quarter = ticks_per_quarter
        self.tokens = abc.vocabulary()
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        self.vocab_size = len(self.tokens)
        self.bos_id, self.eos_id = self.ids[abc.HEADER], self.ids[abc.END]

    def encode(self, score: Score) -> np.ndarray:
        return abc_writer.write(score)

    def decode(self, ids: np.ndarray) -> Score:
        return abc.read([self.tokens[index] for index in ids], self.ticks_per_quarter)

    def to_text(self, ids: np.ndarray) -> str:
        return "".join(map(self.tokens.__getitem__, ids.tolist()))

    def to_json(self) -> str:
        fields = {
            "name": self.name,
            "ticks_per_quarter": self.ticks_per_quarter,
            "tokens": self.tokens,
        }
        return json.dumps(fields, indent=1)
