"""Long pieces cut at bar lines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data.score import Score, build
from data.tokenizers import Tokenizer

MIN_CUT = 64
"""Tokens: less hardly holds a bar."""


class Part(NamedTuple):
    score: Score
    tokens: np.ndarray
    first_bar: int
    """Counted from 1."""


def section(score: Score, first: int, stop: int) -> Score | None:
    """The bars from `first` up to `stop`, counted from 0; None if nothing sounds in them.

    A note that sounds across the cut ends there and is struck again behind it.
    """
    start, until = int(score.bars[first]), int(score.bars[stop])
    end = np.minimum(score.onset + score.duration, until)
    inside = (score.onset < until) & (end > start)
    if not inside.any():
        return None
    onset = np.maximum(score.onset[inside], start)
    track = np.unique(score.track[inside], return_inverse=True)[1]
    columns = np.stack(
        [
            track,
            score.program[inside],
            score.is_drum[inside],
            onset - start,
            score.pitch[inside],
            end[inside] - onset,
            score.velocity[inside],
        ]
    ).astype(np.int64)
    last = int((columns[3] + columns[5]).max())
    return build(
        score.ticks_per_quarter,
        columns,
        _shifted(score.tempos, start, last),
        _shifted(score.meters, start, last),
        _shifted(score.keys, start, last),
    )


def _shifted(changes: tuple, start: int, last: int) -> tuple:
    """The changes that hold from `start` on, for `last` ticks."""
    before = [change for change in changes if change[0] <= start]
    within = [change for change in changes if start < change[0] < start + last]
    opening = [(0, *before[-1][1:])] if before else []
    return (*opening, *((tick - start, *value) for tick, *value in within))


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
