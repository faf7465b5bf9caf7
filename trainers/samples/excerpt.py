"""The part of a piece that is measured, drawn and played: all of it, unless that has no end.

A piece of the test split, or one that goes on from a prompt, may come from any file: a note after
100,000 quarters, or four quarters a minute, would fill the memory or take days to play.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from data.music.score import Score
from data.music.sections import between

MAX_BARS = 512
MAX_QUARTERS = 4096
MAX_SECONDS = 1800.0
MAX_NOTES = 20_000
"""Longer than nearly all music that is notated; self-similarity takes the square of the bars."""


def excerpt(score: Score) -> tuple[Score, str]:
    """The piece, or as much of it from its first sound on as the bounds admit; and what is to be
    said about that, "" for the whole piece."""
    if len(score) <= MAX_NOTES and _last(score, 0) >= score.end:
        return score, ""
    first = int(np.searchsorted(score.bars, score.onset.min(), side="right")) - 1
    start = int(score.bars[first])
    until = min(_last(score, first), score.end)
    if len(score) > MAX_NOTES:
        until = min(until, int(np.sort(score.onset)[MAX_NOTES]))
    found = between(score, start, max(until, int(score.onset.min()) + 1))
    assert found is not None
    quarters = (until - start) / score.ticks_per_quarter
    return found, f"only {quarters:,.0f} of {score.end / score.ticks_per_quarter:,.0f} quarters"


def _last(score: Score, first: int) -> int:
    """The tick up to which bars, quarters and seconds from bar `first` on are within bounds."""
    start = int(score.bars[first])
    bar = int(score.bars[min(first + MAX_BARS, len(score.bars) - 1)])
    return min(bar, start + MAX_QUARTERS * score.ticks_per_quarter, _after(score, start))


def _after(score: Score, start: int) -> int:
    """The tick that is reached `MAX_SECONDS` after `start`."""
    left = MAX_SECONDS
    for (tick, bpm), (until, _) in pairwise([*score.tempos, (2**62, 0)]):
        begin, rate = max(tick, start), 60 / (bpm * score.ticks_per_quarter)
        if until > begin:
            if (until - begin) * rate >= left:
                return begin + int(left / rate)
            left -= (until - begin) * rate
    return start
