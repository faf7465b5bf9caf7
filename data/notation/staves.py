"""A score as a musician writes it: staves of voices, whose bars are notes, rests and triplets.

A score allows any length, and any number of notes that overlap. Here lengths are made of plain and
dotted values that are tied, cut at the strongest beat; what stands between the 32nd notes is in
whole triplets. Notes that overlap are in voices of their own, of which a staff takes four. A track
for two hands has staves for each. Every voice fills every bar.

A tie always joins whole chords: few programs read `[C-E]` right.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data.music.score import Score
from data.notation.lengths import Group, Lengths, Sound, Stretch

BASS_BELOW = 55
"""Staves whose median pitch is lower have a bass clef."""
LEFT_HAND_BELOW = 60
EASY = (55, 86), (36, 64)
"""The lowest and the highest pitch with two ledger lines at most, by treble and by bass clef."""
RARE = 0.05
"""The share of its notes that a staff may have beyond these."""
KEYBOARDS = {*range(8), *range(16, 24), 46}
"""General MIDI's pianos, organs and harp, which two hands play even without chords."""
MAX_VOICES = 4
"""Of a staff; abcm2ps takes no more."""


@dataclass(frozen=True)
class Bar:
    start: int
    end: int
    meter: tuple[int, int]
    key: tuple[int, bool] | None
    """(sharps, minor); None before the first key."""
    new_meter: bool
    new_key: bool


Voice = list[list[Group]]
"""The groups of each bar."""


@dataclass(frozen=True)
class Staff:
    bass: bool
    """Whether it has a bass clef."""
    voices: list[Voice]
    """From one to `MAX_VOICES`, the higher ones first."""


@dataclass(frozen=True)
class Part:
    """A track."""

    program: int
    is_drum: bool
    staves: list[Staff]


def bars(score: Score) -> list[Bar]:
    """The bars, with what is stated at the beginning of each. The first one states all."""
    meter_at = [tick for tick, *_ in score.meters]
    key_at = [tick for tick, *_ in score.keys]
    found: list[Bar] = []
    for start, end in itertools.pairwise(score.bars.tolist()):
        numerator, denominator = score.meters[bisect_right(meter_at, start) - 1][1:]
        ruling = bisect_right(key_at, start) - 1
        key = score.keys[ruling][1:] if ruling >= 0 else None
        before = found[-1] if found else None
        found.append(
            Bar(
                start,
                end,
                (numerator, denominator),
                key,
                before is None or before.meter != (numerator, denominator),
                before is None or before.key != key,
            )
        )
    return found


def beam_ticks(meter: tuple[int, int], quarter: int) -> int:
    """From beam to beam: three eighths in 6/8, a half in 2/2, a quarter in 4/4 and 3/4."""
    numerator, denominator = meter
    if denominator >= 8:
        return 4 * quarter * (3 if numerator % 3 == 0 else 1) // denominator
    return max(4 * quarter // denominator, quarter)


def parts(score: Score) -> list[Part]:
    """The tracks of a score that has notes."""
    lengths = Lengths(score.ticks_per_quarter)
    measures = bars(score)
    # A tempo stands in the first voice, which is cut there.
    cuts = [tick for tick, _ in score.tempos]
    found = []
    for track in np.unique(score.track):
        mine = np.flatnonzero(score.track == track)
        columns = score.onset[mine], score.onset[mine] + score.duration[mine], score.pitch[mine]
        notes: list[_Note] = list(zip(*(column.tolist() for column in columns)))
        is_drum = bool(score.is_drum[mine[0]])
        staves = []
        program = int(score.program[mine[0]])
        for hand in [notes] if is_drum else _hands(notes, program):
            lines = _lines(hand)
            for first in range(0, len(lines), MAX_VOICES):
                on = lines[first : first + MAX_VOICES]
                voices = []
                for line in on:
                    filled = zip(_inside(line, measures, cuts), measures)
                    voices.append(
                        [
                            lengths.groups(stretches, bar.start, bar.end, bar.meter)
                            for stretches, bar in filled
                        ]
                    )
                    cuts = []
                pitches = [pitch for line in on for sound in line for pitch in sound.pitches]
                staves.append(Staff(bool(np.median(pitches) < BASS_BELOW), voices))
        found.append(Part(program, is_drum, staves))
    return found


_Note = tuple[int, int, int]
"""Onset, end and pitch."""


def _hands(notes: list[_Note], program: int) -> list[list[_Note]]:
    """Right hand and left, of a track that no staff holds alone; or all of it in one."""
    pitches = np.array([pitch for *_, pitch in notes])
    fits = [np.mean((pitches < low) | (pitches > high)) <= RARE for low, high in EASY]
    chords = 2 * len(notes) >= 3 * len({onset for onset, *_ in notes})
    left = pitches < LEFT_HAND_BELOW
    two = not any(fits) and min(left.sum(), (~left).sum()) >= 2 * RARE * len(notes)
    if not (two and (chords or program in KEYBOARDS)):
        return [notes]
    right = [note for note in notes if note[2] >= LEFT_HAND_BELOW]
    return [right, [note for note in notes if note[2] < LEFT_HAND_BELOW]]


def _lines(notes: list[_Note]) -> list[list[Sound]]:
    """As few voices as there are sounds at once, the higher ones first."""
    lines = list[list[Sound]]()
    for (onset, end), chord in itertools.groupby(sorted(notes), key=lambda note: note[:2]):
        sound = Sound(onset, end, tuple(pitch for *_, pitch in chord))
        free = next((line for line in lines if line[-1].end <= onset), None)
        if free is None:
            lines.append([sound])
        else:
            free.append(sound)
    return sorted(lines, key=_height, reverse=True)


def _height(line: list[Sound]) -> float:
    """The mean of its highest pitches."""
    return sum(sound.pitches[-1] for sound in line) / len(line)


def _inside(
    line: Sequence[Sound], measures: Sequence[Bar], cuts: list[int]
) -> Iterator[list[Stretch]]:
    """What a voice has in each bar, rests filled in and cut at `cuts`."""
    onsets = [sound.onset for sound in line]
    for measure in measures:
        bar, end = measure.start, measure.end
        inner = cuts[bisect_right(cuts, bar) : bisect_left(cuts, end)]
        first = max(bisect_right(onsets, bar) - 1, 0)
        filled, at = list[Stretch](), bar
        for sound in line[first : bisect_left(onsets, end)]:
            start, stop = max(sound.onset, bar), min(sound.end, end)
            if stop > start:
                filled += [Stretch(at, start, None)] if start > at else []
                filled.append(Stretch(start, stop, sound))
                at = stop
        if at < end:
            filled.append(Stretch(at, end, None))
        yield [
            Stretch(a, b, sound)
            for start, stop, sound in filled
            for a, b in itertools.pairwise(
                [start, *(tick for tick in inner if start < tick < stop), stop]
            )
        ]
