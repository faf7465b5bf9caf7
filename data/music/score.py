"""A score: notes in ticks, as flat NumPy columns. Everything downstream works on scores."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from data.music.maps import bar_lines

TICKS_PER_QUARTER = (8, 12, 24)
"""The ticks per quarter for which every length can be written as text."""
DEFAULT_TICKS_PER_QUARTER = 24

Ints = NDArray[np.int64]


class ScoreError(ValueError):
    """Bytes that are not a MIDI file, or are one without notes; the message is one line."""


@dataclass(frozen=True)
class Score:
    ticks_per_quarter: int
    track: np.ndarray
    """(notes,) int32, 0 .. tracks-1; notes are sorted by track, onset, pitch."""
    program: np.ndarray
    """(notes,) uint8, General MIDI 0..127; 0 for drums."""
    is_drum: np.ndarray
    """(notes,) bool."""
    onset: np.ndarray
    """(notes,) int32, ticks."""
    duration: np.ndarray
    """(notes,) int32, ticks, at least 1."""
    pitch: np.ndarray
    """(notes,) uint8."""
    velocity: np.ndarray
    """(notes,) uint8."""
    tempos: tuple[tuple[int, int], ...]
    """(tick, quarters per minute), from tick 0, without repetitions."""
    meters: tuple[tuple[int, int, int], ...]
    """(tick, numerator, denominator), from tick 0, without repetitions. A change opens a bar."""
    keys: tuple[tuple[int, int, bool], ...]
    """(tick, sharps -7..7, minor), at the beginnings of bars; may be empty."""
    mended: dict[str, int] = field(default_factory=dict, compare=False)
    """How often each rule of `data.music.quantise` and `data.midi.reader` was applied."""

    def __len__(self) -> int:
        return len(self.onset)

    @cached_property
    def end(self) -> int:
        """The tick at which the last note ends."""
        return int((self.onset + self.duration).max(initial=0))

    @cached_property
    def bars(self) -> np.ndarray:
        """(bars + 1,) int64: the ticks at which bars begin, and the end of the last."""
        return bar_lines(self.meters, self.ticks_per_quarter, self.end)

    @property
    def seconds(self) -> float:
        """How long the music lasts at its tempos."""
        total, changes = 0.0, [*self.tempos, (self.end, 0)]
        for (tick, bpm), (until, _) in itertools.pairwise(changes):
            total += max(0, min(until, self.end) - tick) * 60 / (bpm * self.ticks_per_quarter)
        return total

    def canonical(self) -> bytes:
        """Bytes that are equal for two scores if and only if their notes are; made to be hashed."""
        columns = (self.track, self.program, self.is_drum, self.onset, self.duration, self.pitch)
        return b"".join(column.astype(np.int32).tobytes() for column in columns)


def build(
    ticks_per_quarter: int,
    columns: np.ndarray,
    tempos: tuple[tuple[int, int], ...],
    meters: tuple[tuple[int, int, int], ...],
    keys: tuple[tuple[int, int, bool], ...],
) -> Score:
    """A score of notes in any order.

    columns: (7, notes): track, program, is_drum, onset, pitch, duration, velocity.
    """
    columns = columns[:, np.lexsort(columns[[4, 3, 0]])]
    return Score(
        ticks_per_quarter, **typed(columns), tempos=tempos, meters=meters, keys=keys, mended={}
    )


def typed(columns: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of `build` by their names in a `Score`, each with the type that it has there."""
    return {name: column.astype(kind) for column, (name, kind) in zip(columns, _TYPES.items())}


_TYPES: dict[str, type] = {
    "track": np.int32,
    "program": np.uint8,
    "is_drum": np.bool_,
    "onset": np.int32,
    "pitch": np.uint8,
    "duration": np.int32,
    "velocity": np.uint8,
}
