"""Which pieces are left out of a data set although they can be read: each rule named and counted.

All are off unless a threshold is given. A piece that several rules meet is counted under the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from data.music.score import Score

PIANO = (21, 108)
"""MIDI pitches of the lowest and the highest key."""


@dataclass(frozen=True)
class Filters:
    """Thresholds; None is off. As keyword arguments of `prepare` and under `filters:` in a grid."""

    too_short: int | None = None
    """Fewer notes than this."""
    too_long: float | None = None
    """Lasts longer than this, in seconds."""
    too_dense: float | None = None
    """More notes a second than this, on average."""
    silent: float | None = None
    """Nothing sounds for more than this share of its time."""
    repetition: float | None = None
    """One bar makes up more than this share of the bars that sound, of which there are eight."""
    unplayable: float | None = None
    """More than this share of its pitched notes lies beyond the keys of a piano."""

    def __post_init__(self) -> None:
        for name, value in self.chosen().items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"filter {name} is {value!r}, expected a number or null")

    def chosen(self) -> dict[str, float]:
        """The filters that are on, with their thresholds."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def met(self, score: Score) -> tuple[str, str] | None:
        """The name of the first filter that the score meets, and a detail."""
        for name, threshold in self.chosen().items():
            value = _MEASURES[name](score)
            if value < threshold if name == "too_short" else value > threshold:
                return name, f"{_WORDS[name].format(value)}; the limit is {threshold:g}"
        return None


def silence(score: Score) -> float:
    """The share of time, up to the last note's end, in which nothing sounds."""
    order = np.argsort(score.onset, kind="stable")
    onset, end = score.onset[order], (score.onset + score.duration)[order]
    reached = np.maximum.accumulate(end)
    gaps = np.maximum(onset - np.append(0, reached[:-1]), 0)
    return float(gaps.sum() / score.end)


def repetition(score: Score) -> float:
    """The share of the bars that sound which the commonest bar makes up; 0 below eight bars."""
    bar = np.searchsorted(score.bars, score.onset, side="right") - 1
    into = score.onset - score.bars[bar]
    order = np.lexsort((score.pitch, into, score.track, bar))
    rows = np.stack([score.track, into, score.pitch, score.duration])[:, order].astype(np.int32)
    starts = np.flatnonzero(np.diff(bar[order], prepend=-1))
    if len(starts) < 8:
        return 0.0
    contents = [part.tobytes() for part in np.split(rows.T, starts[1:])]
    return max(map(contents.count, set(contents))) / len(contents)


def beyond_piano(score: Score) -> float:
    """The share of pitched notes that no piano has; 0 if there are only drums."""
    pitch = score.pitch[~score.is_drum]
    outside = (pitch < PIANO[0]) | (pitch > PIANO[1])
    return float(outside.mean()) if len(pitch) else 0.0


FILTER_WORDS = {
    "too_short": "less than this many notes",
    "too_long": "more than this many seconds",
    "too_dense": "more than this many notes a second",
    "silent": "silent for more than this share of its time",
    "repetition": "one bar makes up more than this share of eight or more that sound",
    "unplayable": "more than this share of its notes beyond a piano's keys",
}
"""What each filter leaves out, in the words of `--help`."""
_MEASURES = {
    "too_short": len,
    "too_long": lambda score: score.seconds,
    "too_dense": lambda score: len(score) / score.seconds if score.seconds else math.inf,
    "silent": silence,
    "repetition": repetition,
    "unplayable": beyond_piano,
}
_WORDS = {
    "too_short": "{:,} notes",
    "too_long": "{:,.0f} seconds",
    "too_dense": "{:,.1f} notes a second",
    "silent": "nothing sounds for {:.0%} of the time",
    "repetition": "one bar makes up {:.0%} of it",
    "unplayable": "{:.0%} of its notes lie beyond a piano",
}
