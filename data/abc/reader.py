"""From the tokens of the ABC dialect to the score that they spell; undoes `data.abc.writer`."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from data.abc.dialect import (
    ALTERATIONS,
    DRUMS,
    END,
    HEADER,
    KEYS,
    LETTER_OF,
    MERGE,
    METER,
    NATURAL_PITCH,
    PROGRAM,
    SINGLE,
    TEMPO,
    TRIPLET,
    VOICE,
    AbcError,
    key_alteration,
)
from data.music.maps import DEFAULT_BPM, DEFAULT_METER, changes
from data.music.score import Score, build

DEFAULT_VELOCITY = 80


def read(tokens: list[str], ticks_per_quarter: int) -> Score:
    """The score that the tokens spell. Raises AbcError if they spell none."""
    return _Reader(tokens, ticks_per_quarter).score()


@dataclass
class _Line:
    """How far one voice has been read."""

    track: int
    program: int = 0
    is_drum: bool = False
    time: int = 0
    meter: tuple[int, int] = DEFAULT_METER
    sharps: int = 0
    accidentals: dict[str, int] = field(default_factory=dict)
    """The accidentals of this bar, by letter and octave."""
    thirds: int = 0
    """How many of the next elements last two thirds of what is written."""
    tied: dict[int, int] = field(default_factory=dict)
    """The pitches whose notes continue, with the index of each note."""


class _Reader:
    def __init__(self, tokens: list[str], ticks_per_quarter: int) -> None:
        self.tokens, self.at = tokens, 0
        self.ticks_per_quarter = ticks_per_quarter
        self.lines: dict[int, _Line] = {}
        self.notes: list[list[int]] = []
        self.meters = {0: DEFAULT_METER}
        self.tempos = {0: DEFAULT_BPM}
        self.keys: dict[int, tuple[int, bool]] = {}

    def score(self) -> Score:
        self.expect(HEADER)
        line = self.line(1, merged=False) if self.peek() != VOICE else None
        while (token := self.take()) != END:
            if token == VOICE:
                number = self.number()
                merged = self.peek() == MERGE and bool(self.take())
                self.expect("]")
                line = self.line(number, merged)
                continue
            if line is None:
                raise self.error(token, "a voice")
            self.element(token, line)
        if self.at < len(self.tokens):
            raise self.error(self.tokens[self.at], "nothing after the end")
        if not self.notes:
            raise AbcError("the piece holds no notes")
        return build(
            self.ticks_per_quarter,
            np.array(self.notes, dtype=np.int64).T,
            changes(self.tempos),
            tuple((tick, *meter) for tick, meter in changes(self.meters)),
            tuple((tick, *key) for tick, key in changes(self.keys)),
        )

    def line(self, number: int, merged: bool) -> _Line:
        if number not in self.lines:
            if number != len(self.lines) + 1 or (merged and not self.lines):
                raise AbcError(f"voice {number} out of order at token {self.at}")
            track = self.lines[number - 1].track + (not merged) if self.lines else 0
            self.lines[number] = _Line(track)
        return self.lines[number]

    def element(self, token: str, line: _Line) -> None:
        if token == "|":
            line.accidentals.clear()
        elif token in (TRIPLET, SINGLE):
            if line.thirds:
                raise self.error(token, "the rest of a triplet")
            line.thirds = 3 if token == TRIPLET else 1
        elif token == "z":
            line.time += self.length(line)
        elif token == "Z":
            bars = self.number() if self.peek().isdigit() else 1
            beats, beat = line.meter
            line.time += bars * beats * 4 * self.ticks_per_quarter // beat
        elif token == METER:
            numerator, denominator = self.number(), self.take()
            if not denominator.startswith("/"):
                raise self.error(denominator, "a denominator")
            self.expect("]")
            line.meter = self.meters[line.time] = (numerator, int(denominator[1:]))
        elif token == TEMPO:
            self.tempos[line.time] = self.number()
            self.expect("]")
        elif token in KEYS:
            line.sharps, _ = self.keys[line.time] = KEYS[token]
        elif token == PROGRAM:
            line.program = self.number()
            self.expect("]")
        elif token == DRUMS:
            line.is_drum = True
        else:
            self.chord(token, line)

    def chord(self, token: str, line: _Line) -> None:
        pitches = []
        if token == "[":
            while (token := self.take()) != "]":
                pitches.append(self.pitch(token, line))
        else:
            pitches.append(self.pitch(token, line))
        length = self.length(line)
        tied = self.peek() == "-" and bool(self.take())
        before, line.tied = line.tied, {}
        for pitch in pitches:
            if pitch in before:
                index = before[pitch]
                self.notes[index][5] += length
            else:
                index = len(self.notes)
                voice = (line.track, line.program, line.is_drum)
                self.notes.append([*voice, line.time, pitch, length, DEFAULT_VELOCITY])
            if tied:
                line.tied[pitch] = index
        line.time += length

    def pitch(self, token: str, line: _Line) -> int:
        alteration = ALTERATIONS.get(token)
        name = self.take() if alteration is not None else token
        if name not in NATURAL_PITCH:
            raise self.error(name, "a note")
        if alteration is not None:
            line.accidentals[name] = alteration
        else:
            alteration = line.accidentals.get(name, key_alteration(LETTER_OF[name], line.sharps))
        pitch = NATURAL_PITCH[name] + alteration
        if not 0 <= pitch <= 127:
            raise self.error(name, "a MIDI pitch")
        return pitch

    def length(self, line: _Line) -> int:
        numerator = self.number() if self.peek().isdigit() else 1
        denominator = int(self.take()[1:]) if self.peek().startswith("/") else 1
        if line.thirds:
            line.thirds -= 1
            numerator, denominator = 2 * numerator, 3 * denominator
        # Fractions would take two thirds of the time of reading.
        ticks, rest = divmod(numerator * self.ticks_per_quarter, 2 * denominator)
        if rest or ticks < 1:
            eighths = Fraction(numerator, denominator)
            raise AbcError(f"token {self.at}: a length of {eighths} eighths is off the grid")
        return ticks

    def number(self) -> int:
        digits = ""
        while self.peek().isdigit():
            digits += self.take()
        if not digits or len(digits) > 5:
            raise self.error(digits or self.peek(), "a number")
        return int(digits)

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        if self.at > len(self.tokens):
            raise AbcError(f"the piece ends without {END!r}")
        return self.tokens[self.at - 1]

    def expect(self, token: str) -> None:
        found = self.take()
        if found != token:
            raise self.error(found, repr(token))

    def error(self, found: str, expected: str) -> AbcError:
        return AbcError(f"token {self.at}: found {found!r}, expected {expected}")
