"""A score: MIDI quantised once to an explicit grid, as flat NumPy columns.

Everything downstream works on this. Quantising is where information is lost, so its rules are
fixed, and each application of one is counted in `Score.mended`:

    zero_length   a note shorter than half a tick lasts one tick
    doubled       of notes that start together on one pitch of one track, the longest stays
    overlap       a note still sounding when its pitch starts again on its track ends there
    meter         a meter with no whole number of ticks to the bar, or over 32, is dropped
    key           a key change inside a bar moves to the beginning of that bar
    tempo_zero    a tempo of 0 microseconds a quarter is dropped
    tempo_range   a tempo under 4 or over 999 quarters a minute becomes the nearer of these
    tempo_rounded a tempo becomes a whole number of quarters a minute: 86.5, 86 (halves to even)

Those that concern the file rather than the grid are in `data.midi_reader`. Tempo, meter and key
changes after the last note go without a count: nothing sounds in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import symusic
from numpy.typing import NDArray

from data.maps import bar_lines, keys_of, meters_of, on_grid, tempos_of
from data.midi_chunks import FAR, marked, unwrapped
from data.midi_events import MidiError
from data.midi_reader import read

MAX_QUARTERS = 100_000
"""Fourteen hours at 120: longer scores are damaged files, and their bars would fill the memory."""
MAX_BARS = 99_999
"""What the text can count as silent: five digits."""
MAX_TICKS = np.iinfo(np.int32).max

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


class Midi(NamedTuple):
    """A MIDI file with notes, in its own ticks."""

    score: symusic.Score
    mended: dict[str, int]
    """How often each rule of `data.midi_reader` was applied."""


def from_midi(data: bytes, ticks_per_quarter: int) -> Score:
    """Parse and quantise a MIDI file. Raises ScoreError."""
    return quantise_all([parse(data)], ticks_per_quarter)[0]


def parse(data: bytes) -> Midi:
    """By symusic, or where that is wrong by our own reader. Raises ScoreError."""
    data = unwrapped(data)
    midi = _quickly(data) or _carefully(data)
    if midi.score.ticks_per_quarter < 1:
        raise ScoreError("no MIDI file: it has no ticks per quarter")
    if not midi.score.note_num():
        raise ScoreError("the file holds no notes")
    return midi


def _quickly(data: bytes) -> Midi | None:
    """What symusic reads; None where it reads another music than is there, or gives up."""
    score = None
    try:
        for content in marked(data):
            score = symusic.Score.from_midi(content)
    except (RuntimeError, ValueError):
        return None
    # Its end is that of the last event of any kind. A bar lasts an eighth of a quarter or more.
    if score is None or score.end() >= min(FAR, MAX_BARS // 8 * score.ticks_per_quarter):
        return None
    return Midi(score, {})


def _carefully(data: bytes) -> Midi:
    try:
        score, mended = read(data, MAX_QUARTERS)
    except MidiError as error:
        raise ScoreError(f"no MIDI file: {error}") from None
    if score.ticks_per_quarter > 0 and score.note_num():
        bars = len(quantise(score, 24).bars) - 1
        if bars > MAX_BARS:
            raise ScoreError(f"it has {bars:,} bars; what is damaged or absurd does so")
    return Midi(score, mended)


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
    typed = _typed(columns)
    scores = []
    for number, (midi, end) in enumerate(zip(files, ends)):
        meters = meters_of(midi, ticks_per_quarter, end, mended[number])
        lines = bar_lines(meters, ticks_per_quarter, end)
        keys = keys_of(midi, ticks_per_quarter, lines, mended[number])
        mine = [column[bounds[number] : bounds[number + 1]] for column in typed]
        tempos = tempos_of(midi, ticks_per_quarter, end, mended[number])
        scores.append(_score(ticks_per_quarter, mine, tempos, meters, keys, mended[number]))
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


def build(
    ticks_per_quarter: int,
    columns: np.ndarray,
    tempos: tuple[tuple[int, int], ...],
    meters: tuple[tuple[int, int, int], ...],
    keys: tuple[tuple[int, int, bool], ...],
) -> Score:
    """columns: (7, notes): track, program, is_drum, onset, pitch, duration, velocity; any order."""
    columns = columns[:, np.lexsort(columns[[4, 3, 0]])]
    return _score(ticks_per_quarter, _typed(columns), tempos, meters, keys, {})


def _typed(columns: np.ndarray) -> list[np.ndarray]:
    """The columns of `build`, each in the type that it has in a `Score`."""
    types = (np.int32, np.uint8, np.bool_, np.int32, np.uint8, np.int32, np.uint8)
    return [column.astype(kind) for column, kind in zip(columns, types)]


def _score(
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


def to_midi(score: Score) -> bytes:
    """The score as a standard MIDI file; parsed again on the same grid it is the same score."""
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
