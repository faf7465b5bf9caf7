"""Filters leave out pieces that could be read; each has a name, under which they are counted.

All are off unless a threshold is given. A piece that meets several is counted under the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from data.music.score import Score

PIANO = (21, 108)
"""The MIDI pitches of the lowest and the highest key."""


@dataclass(frozen=True)
class Filters:
    """Thresholds; None is off. Options and `filters:` in the grid of a sweep use these names."""

    too_short: int | None = None
    """Fewer notes than this."""
    too_long: float | None = None
    """Lasts longer than this, in seconds."""
    too_dense: float | None = None
    """More notes a second than this, on average."""
    silent: float | None = None
    """Nothing sounds for more than this share of its time."""
    repetition: float | None = None
    """One bar makes up more than this share of the bars that sound, if these are at least eight."""
    unplayable: float | None = None
    """More than this share of the pitched notes lies outside the range of a piano."""

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
            value = RULES[name].measure(score)
            if value < threshold if name == "too_short" else value > threshold:
                return name, f"{RULES[name].found.format(value)}; the limit is {threshold:g}"
        return None


def silence(score: Score) -> float:
    """The share of the time up to the end of the last note in which nothing sounds."""
    order = np.argsort(score.onset, kind="stable")
    onset, end = score.onset[order], (score.onset + score.duration)[order]
    reached = np.maximum.accumulate(end)
    gaps = np.maximum(onset - np.append(0, reached[:-1]), 0)
    return float(gaps.sum() / score.end)


def repetition(score: Score) -> float:
    """The share of the commonest bar among the bars that sound; 0 if these are fewer than eight."""
    bar = np.searchsorted(score.bars, score.onset, side="right") - 1
    into = score.onset - score.bars[bar]
    order = np.lexsort((score.pitch, into, score.track, bar))
    rows = np.stack([score.track, into, score.pitch, score.duration])[:, order].astype(np.int32)
    starts = np.flatnonzero(np.diff(bar[order], prepend=-1))
    if len(starts) < 8:
        return 0.0
    contents = [bar_rows.tobytes() for bar_rows in np.split(rows.T, starts[1:])]
    return max(map(contents.count, set(contents))) / len(contents)


def beyond_piano(score: Score) -> float:
    """The share of the pitched notes outside the range of a piano; 0 if there are only drums."""
    pitch = score.pitch[~score.is_drum]
    outside = (pitch < PIANO[0]) | (pitch > PIANO[1])
    return float(outside.mean()) if len(pitch) else 0.0


class Rule(NamedTuple):
    """What a filter measures, and how it is put into words."""

    measure: Callable[[Score], float]
    found: str
    """The measure in words, for `rejected.parquet`."""
    help: str
    """What the filter leaves out, for `--help`."""


RULES = {
    "too_short": Rule(len, "{:,} notes", "fewer than this many notes"),
    "too_long": Rule(
        lambda score: score.seconds, "{:,.0f} seconds", "longer than this many seconds"
    ),
    "too_dense": Rule(
        lambda score: len(score) / score.seconds if score.seconds else math.inf,
        "{:,.1f} notes a second",
        "more than this many notes a second",
    ),
    "silent": Rule(
        silence,
        "nothing sounds for {:.0%} of the time",
        "silent for more than this share of its time",
    ),
    "repetition": Rule(
        repetition,
        "one bar makes up {:.0%} of it",
        "one bar makes up more than this share of the bars that sound, if these are at least eight",
    ),
    "unplayable": Rule(
        beyond_piano,
        "{:.0%} of its notes lie outside the range of a piano",
        "more than this share of the notes lies outside the range of a piano",
    ),
}
"""By the names of the fields of `Filters`."""
