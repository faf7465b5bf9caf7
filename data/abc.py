"""The ABC dialect: its tokens, its spelling, and its reader. `data.abc_writer` writes it.

The concatenation of the tokens is the ABC text. Two scores have one text if and only if they agree
in everything but velocities; `read` makes the score that was written, but for those.

The dialect, each point chosen so that every reader of ABC hears the same:

- Lengths are in eighths (`L:1/8`). A note that crosses a bar line is written as tied notes.
- Thirds of a length are tuplets: `(3` before three neighbours that are all thirds, `(3:2:1` before
  a single one. ABC 2.1 would allow `G2/3`, abc2midi does not.
- Meter, key and tempo are inline fields, at the start as at changes: `[M:6/8][K:G][Q:1/4=96]`.
  4/4, C and 120 are not written at the start.
- An unmarked note takes the key's alteration. Once a letter has been altered in a bar, each later
  note on that letter in that bar shows its accidental, so ABC's three rules for how far an
  accidental reaches (`%%propagate-accidentals`) all read the same.
- A voice is a line of chords (notes of equal onset and length) and rests. A track whose notes
  overlap otherwise has several, the later ones marked `merge`: of the track before. Voices
  alternate bar by bar; a piece of one voice has no voice marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from data.score import DEFAULT_BPM, DEFAULT_METER, Score, build, changes

HEADER = "X:1\nM:4/4\nL:1/8\nK:C\n"
END = "\n"

MAJORS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
"""By sharps, from -7 to 7."""
MINORS = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")

KEYS = {f"[K:{tonic}]": (index - 7, False) for index, tonic in enumerate(MAJORS)} | {
    f"[K:{tonic}m]": (index - 7, True) for index, tonic in enumerate(MINORS)
}
"""Token -> (sharps, minor)."""
KEY_TOKENS = {key: token for token, key in KEYS.items()}

LETTERS = "CDEFGAB"
NATURAL = (0, 2, 4, 5, 7, 9, 11)
"""Pitch class of each letter."""
SHARPENED, FLATTENED = "FCGDAEB", "BEADGCF"
"""The order in which key signatures alter letters."""
MARKS = {1: "^", -1: "_", 0: "="}

DEFAULT_VELOCITY = 80


class AbcError(ValueError):
    """Tokens that are no piece of this dialect; the message is one line."""


def _pitch_names() -> list[str]:
    """`C,,,,,` (0) to `g''''` (127), letters without accidentals."""
    names = []
    for octave in range(11):
        for letter, pitch_class in zip(LETTERS, NATURAL):
            if 12 * octave + pitch_class <= 127:
                high = octave > 5
                suffix = "'" * (octave - 6) if high else "," * (5 - octave)
                names.append((letter.lower() if high else letter) + suffix)
    return names


PITCHES = _pitch_names()
NATURAL_PITCH = {name: 12 * (index // 7) + NATURAL[index % 7] for index, name in enumerate(PITCHES)}
LETTER_OF = {name: index % 7 for index, name in enumerate(PITCHES)}
DENOMINATORS = (1, 2, 4, 8, 16, 32)
"""Of lengths and of meters."""
TRIPLET, SINGLE = "(3", "(3:2:1"
"""What follows, three elements or one, lasts two thirds of what is written."""


def vocabulary() -> list[str]:
    """Every token there is, the same for every grid."""
    return [
        HEADER,
        END,
        *("|", "z", "-", "[", "]", "^", "_", "=", TRIPLET, SINGLE),
        *PITCHES,
        *(str(digit) for digit in range(10)),
        *(f"/{denominator}" for denominator in DENOMINATORS),
        *("[M:", "[Q:1/4="),
        *KEYS,
        *("[V:", " merge", "[I:MIDI program ", "[I:MIDI channel 10]"),
    ]


def key_alteration(letter: int, sharps: int) -> int:
    """-1, 0 or 1: what a key signature does to a letter (0 is C)."""
    name = LETTERS[letter]
    if sharps > 0:
        return int(SHARPENED.index(name) < sharps)
    return -int(FLATTENED.index(name) < -sharps)


def _spellings() -> dict[tuple[int, int], tuple[int, int, int]]:
    """(pitch, sharps) -> (letter, alteration, octave): the key's own name, else a raised letter in
    sharp keys and a lowered one in flat keys."""
    table = {}
    for sharps in range(-7, 8):
        for pitch in range(128):
            choices = []
            for letter, natural in enumerate(NATURAL):
                for alteration in (0, 1, -1):
                    octave, rest = divmod(pitch - natural - alteration, 12)
                    if rest == 0 and 0 <= 7 * octave + letter < len(PITCHES):
                        own = alteration == key_alteration(letter, sharps)
                        against = alteration * (1 if sharps >= 0 else -1) < 0
                        choices.append(
                            (not own, alteration != 0, against, letter, alteration, octave)
                        )
            _, _, _, letter, alteration, octave = min(choices)
            table[pitch, sharps] = (letter, alteration, octave)
    return table


_SPELLINGS = _spellings()


def spelling(pitch: int, sharps: int) -> tuple[int, int, int]:
    return _SPELLINGS[pitch, sharps]


_TOKEN = re.compile("|".join(re.escape(t) for t in sorted(vocabulary(), key=len, reverse=True)))


def split(text: str) -> list[str]:
    """The tokens of a text of this dialect. Raises AbcError at what is none."""
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise AbcError(
                f"no ABC token at character {position}: {text[position : position + 12]!r}"
            )
        tokens.append(match[0])
        position = match.end()
    return tokens


def read(tokens: list[str], ticks_per_quarter: int) -> Score:
    """The score that the tokens spell. Raises AbcError."""
    return _Reader(tokens, ticks_per_quarter).score()


@dataclass
class _Line:
    """Where reading stands in one voice."""

    track: int
    program: int = 0
    is_drum: bool = False
    time: int = 0
    sharps: int = 0
    accidentals: dict[str, int] = field(default_factory=dict)
    """Alterations of this bar, by letter and octave."""
    thirds: int = 0
    """How many of the coming elements last two thirds of what is written."""
    tied: dict[int, int] = field(default_factory=dict)
    """Pitches whose note goes on, with the index of the note."""


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
        line = self.line(1, merged=False) if self.peek() != "[V:" else None
        while (token := self.take()) != END:
            if token == "[V:":
                number = self.number()
                merged = self.peek() == " merge" and bool(self.take())
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
        elif token == "[M:":
            numerator, denominator = self.number(), self.take()
            if not denominator.startswith("/"):
                raise self.error(denominator, "a denominator")
            self.expect("]")
            self.meters[line.time] = (numerator, int(denominator[1:]))
        elif token == "[Q:1/4=":
            self.tempos[line.time] = self.number()
            self.expect("]")
        elif token in KEYS:
            line.sharps, _ = self.keys[line.time] = KEYS[token]
        elif token == "[I:MIDI program ":
            line.program = self.number()
            self.expect("]")
        elif token == "[I:MIDI channel 10]":
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
        alteration = next((a for a, mark in MARKS.items() if mark == token), None)
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
        eighths = Fraction(numerator, denominator)
        if line.thirds:
            line.thirds -= 1
            eighths = eighths * 2 / 3
        ticks = eighths * self.ticks_per_quarter / 2
        if ticks.denominator != 1 or ticks < 1:
            raise AbcError(f"token {self.at}: a length of {eighths} eighths is off the grid")
        return int(ticks)

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
