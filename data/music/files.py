"""From MIDI files to scores, and back."""

from __future__ import annotations

import numpy as np
import symusic

from data.midi.chunks import FAR, marked, unwrapped
from data.midi.events import MidiError
from data.midi.reader import read
from data.music.quantise import Midi, quantise, quantise_all
from data.music.score import DEFAULT_TICKS_PER_QUARTER, Score, ScoreError

MAX_QUARTERS = 100_000
"""Fourteen hours at 120. A longer score is a damaged file, and its bars would fill the memory."""
MAX_BARS = 99_999
"""As many as the text can count as silent, with five digits."""


def from_midi(data: bytes, ticks_per_quarter: int) -> Score:
    """Parse and quantise a MIDI file. Raises ScoreError."""
    return quantise_all([parse(data)], ticks_per_quarter)[0]


def parse(data: bytes) -> Midi:
    """Read a MIDI file by symusic or, where symusic is wrong, by our own reader.

    Raises ScoreError.
    """
    data = unwrapped(data)
    midi = _quickly(data) or _carefully(data)
    if midi.score.ticks_per_quarter < 1:
        raise ScoreError("no MIDI file: it has no ticks per quarter")
    if not midi.score.note_num():
        raise ScoreError("the file holds no notes")
    return midi


def _quickly(data: bytes) -> Midi | None:
    """What symusic reads; None if it would misread the file, or cannot read it."""
    score = None
    try:
        for content in marked(data):
            score = symusic.Score.from_midi(content)
    except (RuntimeError, ValueError):
        return None
    # The end is that of the last event of any kind. A bar lasts at least an eighth of a quarter.
    if score is None or score.end() >= min(FAR, MAX_BARS // 8 * score.ticks_per_quarter):
        return None
    return Midi(score, {})


def _carefully(data: bytes) -> Midi:
    try:
        score, mended = read(data, MAX_QUARTERS)
    except MidiError as error:
        raise ScoreError(f"no MIDI file: {error}") from None
    if score.ticks_per_quarter > 0 and score.note_num():
        bars = len(quantise(score, DEFAULT_TICKS_PER_QUARTER).bars) - 1
        if bars > MAX_BARS:
            raise ScoreError(f"it has {bars:,} bars; what is damaged or absurd does so")
    return Midi(score, mended)


def to_midi(score: Score) -> bytes:
    """The score as a standard MIDI file, which reads as the same score."""
    return to_symusic(score).dumps_midi()


def to_symusic(score: Score) -> symusic.Score:
    midi = symusic.Score(score.ticks_per_quarter)
    for tick, bpm in score.tempos:
        midi.tempos.append(symusic.Tempo(tick, qpm=bpm))
    for tick, numerator, denominator in score.meters:
        midi.time_signatures.append(symusic.TimeSignature(tick, numerator, denominator))
    for tick, sharps, minor in score.keys:
        midi.key_signatures.append(symusic.KeySignature(tick, sharps, int(minor)))
    for track in np.unique(score.track):
        mine = score.track == track
        notes = symusic.Note.from_numpy(
            score.onset[mine],
            score.duration[mine],
            score.pitch[mine].astype(np.int8),
            score.velocity[mine].astype(np.int8),
        )
        first = int(np.argmax(mine))
        midi.tracks.append(
            symusic.Track(
                program=int(score.program[first]), is_drum=bool(score.is_drum[first]), notes=notes
            )
        )
    return midi
