"""From the ticks of a MIDI file to those of a score, by rounding.

This is where information is lost. The rules are therefore fixed, and each use of one is counted in
`Score.mended`:

    zero_length   a note shorter than half a tick lasts one tick
    doubled       of notes that start together on one pitch of a track, only the longest is kept
    overlap       a note still sounding when its pitch starts again on its track ends there
    meter         a meter whose bar is not a whole number of ticks, or over 32, is dropped
    key           a key change inside a bar moves to the beginning of that bar
    tempo_zero    a tempo of 0 microseconds per quarter is dropped
    tempo_range   a tempo below 4 or above 999 quarters per minute becomes the nearer of these
    tempo_rounded a tempo is rounded to whole quarters per minute, and halves to even: 86.5 to 86

Rules that concern how the file is read are in `data.midi.reader`. Changes of tempo, meter and key
after the last note are dropped without being counted, since nothing sounds there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import symusic

from data.music.maps import bar_lines, keys_of, meters_of, tempos_of, to_score_ticks
from data.music.score import Ints, Score, ScoreError, typed

MAX_TICKS = np.iinfo(np.int32).max


class Midi(NamedTuple):
    """A MIDI file that has notes, in its own ticks."""

    score: symusic.Score
    mended: dict[str, int]
    """How often each rule of `data.midi.reader` was applied."""


def quantise(midi: symusic.Score, ticks_per_quarter: int) -> Score:
    """Apply the rules above. Raises ScoreError if there are no notes."""
    if not midi.note_num():
        raise ScoreError("the file holds no notes")
    return quantise_all([Midi(midi, {})], ticks_per_quarter)[0]


def quantise_all(midis: Sequence[Midi], ticks_per_quarter: int) -> list[Score]:
    """The same for many files, all of which have notes, by whole arrays."""
    if not midis:
        return []
    files = [midi.score for midi in midis]
    mended = [dict(midi.mended) for midi in midis]
    columns, piece = disjoint(*_columns(files, ticks_per_quarter), mended)
    bounds = np.searchsorted(piece, np.arange(len(files) + 1))
    ends = np.maximum.reduceat(columns[3] + columns[5], bounds[:-1]).tolist()
    notes = typed(columns)
    scores = []
    for number, (midi, end) in enumerate(zip(files, ends)):
        meters = meters_of(midi, ticks_per_quarter, end, mended[number])
        lines = bar_lines(meters, ticks_per_quarter, end)
        keys = keys_of(midi, ticks_per_quarter, lines, mended[number])
        mine = {name: column[bounds[number] : bounds[number + 1]] for name, column in notes.items()}
        tempos = tempos_of(midi, ticks_per_quarter, end, mended[number])
        scores.append(
            Score(
                ticks_per_quarter,
                **mine,
                tempos=tempos,
                meters=meters,
                keys=keys,
                mended=mended[number],
            )
        )
    return scores


def _columns(midis: Sequence[symusic.Score], ticks_per_quarter: int) -> tuple[np.ndarray, Ints]:
    """(7, notes) int64: track, program, is_drum, onset, pitch, duration, velocity; (notes,) piece.

    Tracks are numbered in each piece.
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
    onset = np.maximum(to_score_ticks(time, midi_ticks, ticks_per_quarter), 0)
    end = to_score_ticks(time + duration, midi_ticks, ticks_per_quarter)
    return np.stack([*fixed, onset, pitch, np.maximum(end - onset, 0), velocity]), piece


def disjoint(
    columns: np.ndarray, piece: Ints, mended: list[dict[str, int]]
) -> tuple[np.ndarray, Ints]:
    """Shorten or drop notes so that no two sound together on one pitch of a track.

    The result is sorted by piece, track, onset and pitch. mended: counts of rules, a dictionary for
    each piece, to be added to.
    """
    track, onset, pitch, duration = columns[0], columns[3], columns[4], columns[5]
    span = int(onset.max()) + 1
    line = (piece * (int(track.max()) + 1) + track) * 128 + pitch
    # The longest of the notes that start together on one line comes last.
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
