"""Some bars of a score, as a score of their own."""

from __future__ import annotations

import numpy as np

from data.music.score import Score, build


def section(score: Score, first: int, stop: int) -> Score | None:
    """The bars from `first` up to `stop`, counted from 0; None if nothing sounds in them.

    A note that sounds across an edge ends there, and starts again on the other side.
    """
    return between(score, int(score.bars[first]), int(score.bars[stop]))


def between(score: Score, start: int, until: int) -> Score | None:
    """As `section`, from one tick up to another; `start` is a bar line."""
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
    """The changes that hold in the `last` ticks from `start` on."""
    before = [change for change in changes if change[0] <= start]
    within = [change for change in changes if start < change[0] < start + last]
    opening = [(0, *before[-1][1:])] if before else []
    return (*opening, *((tick - start, *value) for tick, *value in within))
