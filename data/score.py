"""A score: MIDI quantised once to an explicit grid, as flat NumPy columns.

Everything downstream works on this. Quantising is where information is lost, so its rules are
fixed, and each application of one is counted in `Score.mended`:

    zero_length   a note shorter than half a tick lasts one tick
    doubled       of notes that start together on one pitch of one track, the longest stays
    overlap       a note still sounding when its pitch starts again on its track ends there
    meter         a meter with no whole number of ticks to the bar, or over 32, is dropped
    key           a key change inside a bar moves to the beginning of that bar

Tempo, meter and key changes after the last note go without a count: nothing sounds in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import symusic
from numpy.typing import NDArray

DEFAULT_BPM = 120
DEFAULT_METER = (4, 4)


MAX_QUARTERS = 100_000
"""Fourteen hours at 120: longer scores are damaged files, and their bars would fill the memory."""
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


def bar_lines(
    meters: tuple[tuple[int, int, int], ...], ticks_per_quarter: int, end: int
) -> np.ndarray:
    """Beginnings of bars up to `end`, and the end of the bar that reaches it: (bars + 1,) int64.

    A meter change opens a bar, be the one before it full or not.
    """
    parts = []
    for (start, numerator, denominator), following in itertools.zip_longest(meters, meters[1:]):
        length = numerator * 4 * ticks_per_quarter // denominator
        if following:
            parts.append(np.arange(start, following[0], length))
        else:
            parts.append(start + length * np.arange(-(-(end - start) // length) + 1))
    return np.concatenate(parts)


def from_midi(data: bytes, ticks_per_quarter: int) -> Score:
    """Parse and quantise a MIDI file. Raises ScoreError."""
    return quantise(parse(data), ticks_per_quarter)


def parse(data: bytes) -> symusic.Score:
    """A MIDI file with notes, in its own ticks. Raises ScoreError."""
    try:
        midi = symusic.Score.from_midi(data)
    except (RuntimeError, ValueError) as error:
        raise ScoreError(f"no MIDI file: {' '.join(str(error).split())}") from None
    if midi.ticks_per_quarter < 1:
        raise ScoreError("no MIDI file: it has no ticks per quarter")
    if not midi.note_num():
        raise ScoreError("the file holds no notes")
    quarters = midi.end() // midi.ticks_per_quarter
    if quarters > MAX_QUARTERS:
        raise ScoreError(f"it lasts {quarters:,} quarters; what is damaged or absurd does so")
    return midi


def quantise(midi: symusic.Score, ticks_per_quarter: int) -> Score:
    """The rules of this module's docstring. Raises ScoreError if there are no notes."""
    if not midi.note_num():
        raise ScoreError("the file holds no notes")
    return quantise_all([midi], ticks_per_quarter)[0]


def quantise_all(midis: Sequence[symusic.Score], ticks_per_quarter: int) -> list[Score]:
    """The same for many, all with notes, in whole-array steps."""
    if not midis:
        return []
    mended: list[dict[str, int]] = [{} for _ in midis]
    columns, piece = disjoint(*_columns(midis, ticks_per_quarter), mended)
    bounds = np.searchsorted(piece, np.arange(len(midis) + 1))
    ends = np.maximum.reduceat(columns[3] + columns[5], bounds[:-1]).tolist()
    scores = []
    for number, (midi, end) in enumerate(zip(midis, ends)):
        meters = _meters(midi, ticks_per_quarter, end, mended[number])
        lines = bar_lines(meters, ticks_per_quarter, end)
        keys = _keys(midi, ticks_per_quarter, lines, mended[number])
        mine = columns[:, bounds[number] : bounds[number + 1]]
        tempos = _tempos(midi, ticks_per_quarter, end)
        scores.append(_score(ticks_per_quarter, mine, tempos, meters, keys, mended[number]))
    return scores


def on_grid(ticks: Any, midi_ticks: Any, ticks_per_quarter: int) -> Any:
    """Ticks of MIDI files to ticks of the grid; integers throughout: halves go up, everywhere."""
    return (2 * ticks * ticks_per_quarter + midi_ticks) // (2 * midi_ticks)


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
    return _score(ticks_per_quarter, columns, tempos, meters, keys, {})


def _score(
    ticks_per_quarter: int,
    columns: np.ndarray,
    tempos: tuple[tuple[int, int], ...],
    meters: tuple[tuple[int, int, int], ...],
    keys: tuple[tuple[int, int, bool], ...],
    mended: dict[str, int],
) -> Score:
    track, program, is_drum, onset, pitch, duration, velocity = columns
    return Score(
        ticks_per_quarter=ticks_per_quarter,
        track=track.astype(np.int32),
        program=program.astype(np.uint8),
        is_drum=is_drum.astype(bool),
        onset=onset.astype(np.int32),
        duration=duration.astype(np.int32),
        pitch=pitch.astype(np.uint8),
        velocity=velocity.astype(np.uint8),
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


def _tempos(midi: symusic.Score, ticks_per_quarter: int, end: int) -> tuple[tuple[int, int], ...]:
    """Whole quarters a minute, from 4 (no MIDI file can be slower) to 999."""
    found = {0: DEFAULT_BPM}
    for tempo in midi.tempos:
        tick = on_grid(tempo.time, midi.ticks_per_quarter, ticks_per_quarter)
        if tick < end:
            found[max(tick, 0)] = min(max(round(tempo.qpm), 4), 999)
    return changes(found)


def _meters(
    midi: symusic.Score, ticks_per_quarter: int, end: int, mended: dict[str, int]
) -> tuple[tuple[int, int, int], ...]:
    found = {0: DEFAULT_METER}
    for meter in midi.time_signatures:
        tick = on_grid(meter.time, midi.ticks_per_quarter, ticks_per_quarter)
        numerator, denominator = int(meter.numerator), int(meter.denominator)
        whole = 4 * ticks_per_quarter
        if numerator < 1 or denominator not in (1, 2, 4, 8, 16, 32) or whole % denominator:
            mended["meter"] = mended.get("meter", 0) + 1
            continue
        if tick < end:
            found[max(tick, 0)] = (numerator, denominator)
    return tuple((tick, *meter) for tick, meter in changes(found))


def _keys(
    midi: symusic.Score, ticks_per_quarter: int, lines: np.ndarray, mended: dict[str, int]
) -> tuple[tuple[int, int, bool], ...]:
    found = {}
    for key in midi.key_signatures:
        tick = on_grid(key.time, midi.ticks_per_quarter, ticks_per_quarter)
        if not -7 <= key.key <= 7 or tick >= lines[-1]:
            continue
        bar = int(lines[max(int(np.searchsorted(lines, tick, side="right")) - 1, 0)])
        if bar != tick:
            mended["key"] = mended.get("key", 0) + 1
        found[bar] = (int(key.key), bool(key.tonality))
    return tuple((tick, *key) for tick, key in changes(found))


def changes(found: dict) -> tuple:
    """(tick, value) in order of time, without those that repeat the value before them."""
    changes: list[tuple] = []
    for tick in sorted(found):
        if not changes or changes[-1][1] != found[tick]:
            changes.append((tick, found[tick]))
    return tuple(changes)


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
