"""A score: notes on a grid of ticks, as flat NumPy columns. Everything downstream works on this."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from data.music.maps import bar_lines

Ints = NDArray[np.int64]


class ScoreError(ValueError):
    """Bytes that are no MIDI file, or one without notes; the message is one line."""


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
    """(tick, quarters a minute), from tick 0, no repeats."""
    meters: tuple[tuple[int, int, int], ...]
    """(tick, numerator, denominator), from tick 0, no repeats. A change always opens a bar."""
    keys: tuple[tuple[int, int, bool], ...]
    """(tick, sharps -7..7, minor), at beginnings of bars; may be empty."""
    mended: dict[str, int] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.onset)

    @cached_property
    def end(self) -> int:
        """The tick at which the last note ends."""
        return int((self.onset + self.duration).max(initial=0))

    @cached_property
    def bars(self) -> np.ndarray:
        """(bars + 1,) int64: the ticks at which bars begin, and the end of the last one."""
        return bar_lines(self.meters, self.ticks_per_quarter, self.end)

    @property
    def seconds(self) -> float:
        """How long the music lasts at its tempos."""
        total, changes = 0.0, [*self.tempos, (self.end, 0)]
        for (tick, bpm), (until, _) in itertools.pairwise(changes):
            total += max(0, min(until, self.end) - tick) * 60 / (bpm * self.ticks_per_quarter)
        return total

    def canonical(self) -> bytes:
        """What two scores share if and only if their notes are the same; hash this."""
        columns = (self.track, self.program, self.is_drum, self.onset, self.duration, self.pitch)
        return b"".join(column.astype(np.int32).tobytes() for column in columns)


def build(
    ticks_per_quarter: int,
    columns: np.ndarray,
    tempos: tuple[tuple[int, int], ...],
    meters: tuple[tuple[int, int, int], ...],
    keys: tuple[tuple[int, int, bool], ...],
) -> Score:
    """columns: (7, notes): track, program, is_drum, onset, pitch, duration, velocity; any order."""
    columns = columns[:, np.lexsort(columns[[4, 3, 0]])]
    return assembled(ticks_per_quarter, typed(columns), tempos, meters, keys, {})


def typed(columns: np.ndarray) -> list[np.ndarray]:
    """The columns of `build`, each in the type that it has in a `Score`."""
    types = (np.int32, np.uint8, np.bool_, np.int32, np.uint8, np.int32, np.uint8)
    return [column.astype(kind) for column, kind in zip(columns, types)]


def assembled(
    ticks_per_quarter: int,
    columns: list[np.ndarray],
    tempos: tuple[tuple[int, int], ...],
    meters: tuple[tuple[int, int, int], ...],
    keys: tuple[tuple[int, int, bool], ...],
    mended: dict[str, int],
) -> Score:
    track, program, is_drum, onset, pitch, duration, velocity = columns
    return Score(
        ticks_per_quarter=ticks_per_quarter,
        track=track,
        program=program,
        is_drum=is_drum,
        onset=onset,
        duration=duration,
        pitch=pitch,
        velocity=velocity,
        tempos=tempos,
        meters=meters,
        keys=keys,
        mended=mended,
    )
