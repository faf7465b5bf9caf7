"""Byte pair encoding over the tokens of any other tokenizer (Sennrich, Haddow & Birch 2016).

`abc-bpe1000` is `abc` with merges up to a vocabulary of 1,000, learnt from the training split only.
The merges are saved in the JSON of the tokenizer. The Rust library `tokenizers` learns and applies
them, on strings that have one character for each token. `bos_id` and `eos_id` are never merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Tokenizer as Merger
from tokenizers import models, trainers

from data.music.score import Score
from data.tokens.protocol import Tokenizer

_FIRST = 0x4E00
"""The character for token 0; 20,000 assigned characters follow it."""

MAX_EXPANDED = 2**22
"""Ids that all merges together may stand for."""


class BpeTokenizer:
    def __init__(
        self, base: Tokenizer, size: int, merges: Sequence[tuple[int, int]] | None = None
    ) -> None:
        """merges: pairs of ids, in the order in which they were learnt; None before training.

        Raises ValueError for merges that are none, or stand for more than `MAX_EXPANDED` ids.
        """
        self.base, self.size = base, size
        self.name = f"{base.name}-bpe{size}"
        self.ticks_per_quarter = base.ticks_per_quarter
        self.bos_id, self.eos_id = base.bos_id, base.eos_id
        self.merges = None if merges is None else [(left, right) for left, right in merges]
        self.expansions = [[index] for index in range(base.vocab_size)]
        """What each id stands for, in the ids of `base`."""
        played_out = 0
        for left, right in self.merges or ():
            known = range(len(self.expansions))
            if left not in known or right not in known or len(known) >= size:
                raise ValueError(f"merge {len(known) - base.vocab_size} is of {left} and {right}")
            # Before it is built: each merge may double what one before it stands for.
            played_out += len(self.expansions[left]) + len(self.expansions[right])
            if played_out > MAX_EXPANDED:
                raise ValueError(f"its merges stand for more than {MAX_EXPANDED:,} tokens")
            self.expansions.append(self.expansions[left] + self.expansions[right])
        self.vocab_size = len(self.expansions)
        self._merger: Merger | None = None

    def trained(self, pieces: Iterable[np.ndarray]) -> BpeTokenizer:
        """The same tokenizer with merges, learnt from pieces in the ids of `base`."""
        letters = [letter(index) for index in range(self.base.vocab_size)]
        merger = Merger(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=self.size, initial_alphabet=letters, show_progress=False
        )
        merger.train_from_iterator((_word(piece[1:-1]) for piece in pieces), trainer)
        pairs = json.loads(merger.to_str())["model"]["merges"]
        ids = {letter: index for index, letter in enumerate(letters)}
        merges = []
        for left, right in pairs:
            merges.append((ids[left], ids[right]))
            ids[left + right] = self.base.vocab_size + len(merges) - 1
        return BpeTokenizer(self.base, self.size, merges)

    def shorten(self, ids: np.ndarray) -> np.ndarray:
        """Apply the merges to a piece in the ids of `base`."""
        merged = self.merger().encode(_word(ids[1:-1])).ids
        return np.array([self.bos_id, *merged, self.eos_id], np.uint16)

    def merger(self) -> Merger:
        """What applies the merges, to strings of one letter for each id of `base`."""
        if self.merges is None:
            raise ValueError(f"{self.name} has learnt nothing yet")
        if self._merger is None:
            texts = [_word(np.array(each)) for each in self.expansions]
            pairs = [(texts[left], texts[right]) for left, right in self.merges]
            vocabulary = {text: index for index, text in enumerate(texts)}
            self._merger = Merger(models.BPE(vocab=vocabulary, merges=pairs))
        return self._merger

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_merger": None}

    def encode(self, score: Score) -> np.ndarray:
        return self.shorten(self.base.encode(score))

    def encode_all(self, scores: Sequence[Score]) -> list[np.ndarray]:
        return [self.shorten(ids) for ids in self.base.encode_all(scores)]

    def expand(self, ids: np.ndarray) -> np.ndarray:
        """The piece in the ids of `base`."""
        return np.array(
            [each for index in ids.tolist() for each in self.expansions[index]], np.uint16
        )

    def decode(self, ids: np.ndarray) -> Score:
        return self.base.decode(self.expand(ids))

    def to_text(self, ids: np.ndarray) -> str:
        return self.base.to_text(self.expand(ids))

    def to_json(self) -> str:
        fields = json.loads(self.base.to_json()) | {"name": self.name, "merges": self.merges}
        return json.dumps(fields, indent=1)


def letter(index: int) -> str:
    """The character that stands for an id of the base."""
    return chr(_FIRST + index)


def _word(ids: np.ndarray) -> str:
    return (ids.astype("<u4") + np.uint32(_FIRST)).tobytes().decode("utf-32-le")
