"""Pieces of tokens cut at bar lines and transposed, by way of their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data.music.score import Score
from data.music.sections import section
from data.music.transpose import transpose
from data.tokens.protocol import Tokenizer

MIN_CUT = 64
"""Tokens. Fewer hardly hold one bar."""


class Section(NamedTuple):
    score: Score
    tokens: np.ndarray
    first_bar: int
    """The number of its first bar in the piece, counted from 1."""


def cut(score: Score, tokens: np.ndarray, tokenizer: Tokenizer, max_tokens: int) -> list[Section]:
    """The piece in sections of at most `max_tokens`, halved at bar lines as often as necessary.

    A single bar that is still too long is left out.
    """
    sections: list[Section] = []
    waiting = [(0, len(score.bars) - 1, score, tokens)]
    while waiting:
        first, stop, whole, ids = waiting.pop()
        if len(ids) <= max_tokens:
            sections.append(Section(whole, ids, first + 1))
            continue
        if stop - first < 2:
            continue
        middle = (first + stop) // 2
        # The earlier half goes on top of the stack, and is treated first.
        for begin, end in ((middle, stop), (first, middle)):
            half = section(score, begin, end)
            if half is not None:
                waiting.append((begin, end, half, tokenizer.encode(half)))
    return sections


def transposed_tokens(
    tokenizer: Tokenizer, pieces: Sequence[np.ndarray], semitones: Sequence[int]
) -> list[np.ndarray]:
    """Each piece, (n,) uint16 from `bos_id` to `eos_id`, moved by its number of semitones."""
    scores = [
        transpose(tokenizer.decode(ids), shift)
        for ids, shift in zip(pieces, semitones, strict=True)
    ]
    return tokenizer.encode_all(scores)
