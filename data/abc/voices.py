"""From notes to voices: chords, and lines of chords that do not overlap.

Pieces are laid end to end in time, and their tracks are numbered through, so that each step treats
all of them at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.music.score import Score

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Chords(NamedTuple):
    """Notes of one track that start and end together, sorted by (voice, onset)."""

    voice: Ints
    onset: Ints
    end: Ints
    first: Ints
    """The index in `pitch` of each chord's first note."""
    size: Ints
    pitch: Ints
    """(notes,) the pitches of all notes, sorted by (track, onset, end, pitch)."""


class Voices(NamedTuple):
    """Lines of chords, none of which overlaps another of its line."""

    piece: Ints
    """(voices,) the piece of each voice."""
    number: Ints
    """(voices,) counted from 1 in each piece."""
    merged: Bools
    """(voices,) whether the voice belongs to the same track as the one before it."""
    program: Ints
    """(voices,)"""
    is_drum: Bools
    """(voices,)"""


def voices(scores: Sequence[Score], start: Ints) -> tuple[Chords, Voices]:
    """The chords and voices of scores that all have notes.

    start: (pieces + 1,) the tick at which each piece begins, and the end of the last one.
    """
    counts = [len(score) for score in scores]
    tracks = np.cumsum([0, *(int(score.track[-1]) + 1 for score in scores)])[:-1]
    track = np.concatenate([score.track for score in scores]) + np.repeat(tracks, counts)
    onset = np.concatenate([score.onset for score in scores]) + np.repeat(start[:-1], counts)
    end = onset + np.concatenate([score.duration for score in scores])
    # Notes are sorted by track, onset and pitch already, and lexsort is stable.
    notes = np.lexsort((end, track * start[-1] + onset))
    track, onset, end = track[notes], onset[notes], end[notes]
    pitch = np.concatenate([score.pitch for score in scores])[notes]

    new = (track[1:] != track[:-1]) | (onset[1:] != onset[:-1]) | (end[1:] != end[:-1])
    first = np.flatnonzero(np.append(True, new))
    size = np.diff(np.append(first, len(track)))
    track, onset, end = track[first], onset[first], end[first]
    apart = track * start[-1]
    layer = _first_fit(apart + onset, apart + end)
    line = track * (layer.max() + 1) + layer
    order = np.argsort(line, kind="stable")
    begins = np.append(True, np.diff(line[order]) > 0)
    voice = np.cumsum(begins) - 1
    chords = Chords(voice, onset[order], end[order], first[order], size[order], pitch)

    note = notes[chords.first[begins]]
    track = track[order][begins]
    piece = np.searchsorted(np.cumsum(counts), note, side="right")
    return chords, Voices(
        piece,
        np.arange(len(piece)) - np.searchsorted(piece, np.arange(len(scores)))[piece] + 1,
        np.append(False, track[1:] == track[:-1]),
        np.concatenate([score.program for score in scores])[note].astype(np.int64),
        np.concatenate([score.is_drum for score in scores])[note],
    )


def _first_fit(onset: Ints, end: Ints) -> Ints:
    """(n,) the lowest layer on which each interval, in order of onset, overlaps no earlier one."""
    layer = np.zeros(len(onset), np.int64)
    left = np.arange(len(onset))
    depth = 0
    while len(left):
        following = np.searchsorted(onset[left], end[left]).tolist()
        # To set a byte takes half the time of appending to a list.
        fits, position = bytearray(len(left)), 0
        while position < len(left):
            fits[position] = True
            position = following[position]
        fitting = np.frombuffer(fits, bool)
        layer[left[fitting]] = depth
        left = left[~fitting]
        depth += 1
    return layer
