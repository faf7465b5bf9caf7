"""MIDI files to scores: quantised once to an explicit grid of ticks.

Quantising is where information is lost, so its rules are fixed, and each application of one is
counted in `Score.mended`:

    zero_length   a note shorter than half a tick lasts one tick
    doubled       of notes that start together on one pitch of one track, the longest stays
    overlap       a note still sounding when its pitch starts again on its track ends there
    meter         a meter with no whole number of ticks to the bar, or over 32, is dropped
    key           a key change inside a bar moves to the beginning of that bar
    tempo_zero    a tempo of 0 microseconds a quarter is dropped
    tempo_range   a tempo under 4 or over 999 quarters a minute becomes the nearer of these
    tempo_rounded a tempo becomes a whole number of quarters a minute: 86.5, 86 (halves to even)

Those that concern the file rather than the grid are in `data.midi.reader`. Tempo, meter and key
changes after the last note go without a count: nothing sounds in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import symusic

from data.music.maps import bar_lines, keys_of, meters_of, on_grid, tempos_of
from data.music.score import Ints, Score, ScoreError, assembled, typed

MAX_TICKS = np.iinfo(np.int32).max


class Midi(NamedTuple):
    """A MIDI file with notes, in its own ticks."""

    score: symusic.Score
    mended: dict[str, int]
    """How often each rule of `data.midi.reader` was applied."""


def quantise(midi: symusic.Score, ticks_per_quarter: int) -> Score:
    """The rules of this module's docstring. Raises ScoreError if there are no notes."""
    if not midi.note_num():
        raise ScoreError("the file holds no notes")
    return quantise_all([Midi(midi, {})], ticks_per_quarter)[0]


def quantise_all(midis: Sequence[Midi], ticks_per_quarter: int) -> list[Score]:
    """The same for many, all with notes, in whole-array steps."""
    if not midis:
        return []
    files = [midi.score for midi in midis]
    mended = [dict(midi.mended) for midi in midis]
    columns, piece = disjoint(*_columns(files, ticks_per_quarter), mended)
    bounds = np.searchsorted(piece, np.arange(len(files) + 1))
    ends = np.maximum.reduceat(columns[3] + columns[5], bounds[:-1]).tolist()
    columns_of_all = typed(columns)
    scores = []
    for number, (midi, end) in enumerate(zip(files, ends)):
        meters = meters_of(midi, ticks_per_quarter, end, mended[number])
        lines = bar_lines(meters, ticks_per_quarter, end)
        keys = keys_of(midi, ticks_per_quarter, lines, mended[number])
        mine = [column[bounds[number] : bounds[number + 1]] for column in columns_of_all]
        tempos = tempos_of(midi, ticks_per_quarter, end, mended[number])
        scores.append(assembled(ticks_per_quarter, mine, tempos, meters, keys, mended[number]))
    return scores


def _columns(midis: Sequence[symusic.Score], ticks_per_quarter: int) -> tuple[np.ndarray, Ints]:
    """(7, notes) int64: track, program, is_drum, onset, pitch, duration, velocity; (notes,) piece.

    Tracks are counted in each piece.
    """
    tracks = []
    notes: dict[str, list[np.ndarray]] = {"time": [], "duration": [], "pitch": [], "velocity": []}
    for number, midi in enumerate(midis):
        sounding = (track for track in midi.tracks if len(track.notes))
        for index, track in enumerate(sounding):
            arrays = track.notes.numpy()
            for name, found in notes.items():
                found.append(arrays[name])
            program = 0 if track.is_drum else track.program
            row = (number, midi.ticks_per_quarter, index, program, track.is_drum)
            tracks.append((*row, len(arrays["time"])))
    rows = np.array(tracks, np.int64)
    piece, midi_ticks, *fixed = np.repeat(rows[:, :-1], rows[:, -1], axis=0).T
    time, duration, pitch, velocity = (
        np.concatenate(found).astype(np.int64) for found in notes.values()
    )
    onset = np.maximum(on_grid(time, midi_ticks, ticks_per_quarter), 0)
    end = on_grid(time + duration, midi_ticks, ticks_per_quarter)
    return np.stack([*fixed, onset, pitch, np.maximum(end - onset, 0), velocity]), piece


def disjoint(
    columns: np.ndarray, piece: Ints, mended: list[dict[str, int]]
) -> tuple[np.ndarray, Ints]:
    """Let no note sound with another on its track and pitch; sorted by piece, track, onset, pitch.

    mended: of each piece, to be added to.
    """
    track, onset, pitch, duration = columns[0], columns[3], columns[4], columns[5]
    span = int(onset.max()) + 1
    line = (piece * (int(track.max()) + 1) + track) * 128 + pitch
    # The longest of those that start together on one line comes last.
    order = np.lexsort((duration, line * span + onset))
    columns, piece, line = columns.take(order, axis=1), piece[order], line[order]
    same = line[1:] == line[:-1]
    room = np.where(same, columns[3, 1:] - columns[3, :-1], span + MAX_TICKS)
    room = np.append(room, span + MAX_TICKS)
    doubled = room == 0
    zero = (columns[5] < 1) & ~doubled
    overlap = (columns[5] > room) & ~doubled
    columns[5] = np.maximum(np.minimum(columns[5], room), 1)
    for rule, hit in (("zero_length", zero), ("doubled", doubled), ("overlap", overlap)):
        for number, count in zip(*np.unique(piece[hit], return_counts=True)):
            mended[number][rule] = int(count)
    left = np.flatnonzero(~doubled)
    place = (line[left] // 128 * span + columns[3, left]) * 128 + columns[4, left]
    order = left[np.argsort(place, kind="stable")]
    return columns.take(order, axis=1), piece[order]
