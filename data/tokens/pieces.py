"""Pieces of tokens changed by way of their scores: cut at bar lines, transposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data.music.score import Score
from data.music.sections import section
from data.music.transpose import transpose
from data.tokens.protocol import Tokenizer

MIN_CUT = 64
"""Tokens: less hardly holds a bar."""


class Part(NamedTuple):
    score: Score
    tokens: np.ndarray
    first_bar: int
    """Counted from 1."""


def cut(score: Score, tokens: np.ndarray, tokenizer: Tokenizer, max_tokens: int) -> list[Part]:
    """The piece in parts of at most `max_tokens`, halved at bar lines as often as it takes.

    A single bar that is longer still is left out.
    """
    parts: list[Part] = []
    waiting = [(0, len(score.bars) - 1, score, tokens)]
    while waiting:
        first, stop, part, ids = waiting.pop()
        if len(ids) <= max_tokens:
            parts.append(Part(part, ids, first + 1))
            continue
        if stop - first < 2:
            continue
        middle = (first + stop) // 2
        # The earlier half goes on top.
        for begin, end in ((middle, stop), (first, middle)):
            half = section(score, begin, end)
            if half is not None:
                waiting.append((begin, end, half, tokenizer.encode(half)))
    return parts


def transposed_tokens(
    tokenizer: Tokenizer, pieces: Sequence[np.ndarray], semitones: Sequence[int]
) -> list[np.ndarray]:
    """Each piece, (n,) uint16 from `bos_id` to `eos_id`, by so many semitones."""
    scores = [
        transpose(tokenizer.decode(ids), shift)
        for ids, shift in zip(pieces, semitones, strict=True)
    ]
    return tokenizer.encode_all(scores)
