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
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import symusic

DEFAULT_BPM = 120
DEFAULT_METER = (4, 4)


Grid = Callable[[np.ndarray], np.ndarray]
"""Ticks of a MIDI file to ticks of the grid."""


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
    try:
        midi = symusic.Score.from_midi(data)
    except (RuntimeError, ValueError) as error:
        raise ScoreError(f"no MIDI file: {' '.join(str(error).split())}") from None
    if midi.ticks_per_quarter < 1:
        raise ScoreError("no MIDI file: it has no ticks per quarter")
    return quantise(midi, ticks_per_quarter)


def quantise(midi: symusic.Score, ticks_per_quarter: int) -> Score:
    """The rules of this module's docstring. Raises ScoreError if there are no notes."""
    mended: dict[str, int] = {}

    def grid(ticks: np.ndarray) -> np.ndarray:
        # Integers throughout: halves go up, on every machine.
        scaled = 2 * ticks.astype(np.int64) * ticks_per_quarter + midi.ticks_per_quarter
        return scaled // (2 * midi.ticks_per_quarter)

    parts = []
    sounding = [track for track in midi.tracks if len(track.notes)]
    for index, track in enumerate(sounding):
        notes = track.notes.numpy()
        onset = np.maximum(grid(notes["time"]), 0)
        duration = np.maximum(grid(notes["time"] + notes["duration"]) - onset, 0)
        program = 0 if track.is_drum else track.program
        columns = np.stack([onset, notes["pitch"], duration, notes["velocity"]])
        tagged = np.stack([np.full(len(onset), x) for x in (index, program, track.is_drum)])
        parts.append(np.concatenate([tagged, columns]).astype(np.int64))
    if not parts:
        raise ScoreError("the file holds no notes")
    columns = disjoint(np.concatenate(parts, axis=1), mended)
    end = int((columns[3] + columns[5]).max())
    tempos = _tempos(midi, grid, end)
    meters = _meters(midi, grid, end, ticks_per_quarter, mended)
    keys = _keys(midi, grid, bar_lines(meters, ticks_per_quarter, end), mended)
    return build(ticks_per_quarter, columns, tempos, meters, keys, mended)


def build(
    ticks_per_quarter: int,
    columns: np.ndarray,
    tempos: tuple[tuple[int, int], ...],
    meters: tuple[tuple[int, int, int], ...],
    keys: tuple[tuple[int, int, bool], ...],
    mended: dict[str, int] | None = None,
) -> Score:
    """columns: (7, notes): track, program, is_drum, onset, pitch, duration, velocity; any order."""
    track, program, is_drum, onset, pitch, duration, velocity = columns[
        :, np.lexsort(columns[[4, 3, 0]])
    ]
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
        mended=mended or {},
    )


def disjoint(columns: np.ndarray, mended: dict[str, int]) -> np.ndarray:
    """Let no note sound with another on its track and pitch."""
    # Sorted by track, pitch, onset and then length, so that the longest of a doubling comes last.
    columns = columns[:, np.lexsort(columns[[5, 3, 4, 0]])]
    same = (np.diff(columns[0]) == 0) & (np.diff(columns[4]) == 0)
    doubled = np.append(same & (np.diff(columns[3]) == 0), False)
    columns = columns[:, ~doubled]
    same = (np.diff(columns[0]) == 0) & (np.diff(columns[4]) == 0)
    room = np.append(
        np.where(same, np.diff(columns[3]), np.iinfo(np.int32).max), np.iinfo(np.int32).max
    )
    overlap = columns[5] > room
    zero = columns[5] < 1
    columns[5] = np.maximum(np.minimum(columns[5], room), 1)
    for rule, hit in (("zero_length", zero), ("doubled", doubled), ("overlap", overlap)):
        if hit.any():
            mended[rule] = int(hit.sum())
    return columns


def _tempos(midi: symusic.Score, grid: Grid, end: int) -> tuple[tuple[int, int], ...]:
    """Whole quarters a minute, from 4 (no MIDI file can be slower) to 999."""
    ticks = grid(np.array([tempo.time for tempo in midi.tempos], dtype=np.int64))
    found = {0: DEFAULT_BPM}
    for tick, tempo in zip(ticks.tolist(), midi.tempos):
        if tick < end:
            found[max(tick, 0)] = min(max(round(tempo.qpm), 4), 999)
    return changes(found)


def _meters(
    midi: symusic.Score, grid: Grid, end: int, ticks_per_quarter: int, mended: dict[str, int]
) -> tuple[tuple[int, int, int], ...]:
    ticks = grid(np.array([meter.time for meter in midi.time_signatures], dtype=np.int64))
    found = {0: DEFAULT_METER}
    for tick, meter in zip(ticks.tolist(), midi.time_signatures):
        numerator, denominator = int(meter.numerator), int(meter.denominator)
        whole = 4 * ticks_per_quarter
        if numerator < 1 or denominator not in (1, 2, 4, 8, 16, 32) or whole % denominator:
            mended["meter"] = mended.get("meter", 0) + 1
            continue
        if tick < end:
            found[max(tick, 0)] = (numerator, denominator)
    return tuple((tick, *meter) for tick, meter in changes(found))


def _keys(
    midi: symusic.Score, grid: Grid, lines: np.ndarray, mended: dict[str, int]
) -> tuple[tuple[int, int, bool], ...]:
    ticks = grid(np.array([key.time for key in midi.key_signatures], dtype=np.int64))
    found = {}
    for tick, key in zip(ticks.tolist(), midi.key_signatures):
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
