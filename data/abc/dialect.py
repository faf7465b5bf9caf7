"""The tokens and the spelling of the ABC dialect; see `data.abc.writer` and `data.abc.reader`.

The tokens of a piece, joined, are its ABC text. Two scores have the same text if and only if they
agree in everything but velocity, and reading a text gives back the score that was written, again
except for velocity.

Each point of the dialect is chosen so that all ABC readers play the same music:

- Lengths are in eighths (`L:1/8`). A note that crosses a bar line is written as tied notes.
- Lengths in thirds are tuplets: `(3` before three neighbours that are all thirds, `(3:2:1` before
  a single one. ABC 2.1 would allow `G2/3`, but abc2midi does not.
- Meter, key and tempo are inline fields, both at the start and where they change:
  `[M:6/8][K:G][Q:1/4=96]`. At the start, 4/4, C and 120 are left out.
- A note without an accidental follows the key signature. Once a letter has carried an accidental,
  every later note on that letter in the bar shows its own, so that ABC's three rules for how far
  an accidental reaches (`%%propagate-accidentals`) lead to the same pitches.
- In minor keys the raised seventh keeps the letter of the seventh: `^F` in G minor, not `_G`.
- A voice is a line of chords (notes with the same onset and length) and rests. A track whose notes
  overlap in other ways has several voices; all but its first are marked `merge`, which means that
  they belong to the same track as the voice before. Every voice is named in the first bar. Voices
  take turns by systems: the smallest number of bars, a power of two, that lasts three quarters, so
  that short bars do not each need a voice mark. A piece with a single voice has no voice marks.
- A voice writes the bars in which it sounds and counts the silent bars between them: `Z4|` is four
  bars of silence. It writes nothing after its last note. A change of meter or key is stated by
  every voice that has yet to sound, a bar that such a change cuts short is written out in full,
  and only the first voice states the tempo.
"""

from __future__ import annotations

import re
from functools import cache

HEADER = "X:1\nM:4/4\nL:1/8\nK:C\n"
END = "\n"

MAJORS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
"""In order of sharps, from -7 to 7."""
MINORS = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")

KEYS = {f"[K:{tonic}]": (index - 7, False) for index, tonic in enumerate(MAJORS)} | {
    f"[K:{tonic}m]": (index - 7, True) for index, tonic in enumerate(MINORS)
}
"""(sharps, minor) by token."""
KEY_TOKENS = {key: token for token, key in KEYS.items()}

LETTERS = "CDEFGAB"
NATURAL = (0, 2, 4, 5, 7, 9, 11)
"""The pitch class of each letter."""
SHARPENED, FLATTENED = "FCGDAEB", "BEADGCF"
"""The order in which key signatures alter letters."""
MARKS = {1: "^", -1: "_", 0: "="}
ALTERATIONS = {mark: alteration for alteration, mark in MARKS.items()}

SYSTEM_QUARTERS = 3
"""The least duration of a system."""


METER, TEMPO = "[M:", "[Q:1/4="
VOICE, MERGE = "[V:", " merge"
PROGRAM, DRUMS = "[I:MIDI program ", "[I:MIDI channel 10]"
"""The openings of fields, or whole fields. Key fields are whole tokens, in `KEYS`."""


class AbcError(ValueError):
    """Tokens that do not form a piece in this dialect; the message is one line."""


def _pitch_names() -> list[str]:
    """The names of all pitches without accidentals, from `C,,,,,` (0) to `g''''` (127)."""
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
"""The denominators of lengths and of meters."""
TRIPLET, SINGLE = "(3", "(3:2:1"
"""The next three elements, or the next one, last two thirds of what is written."""


def vocabulary() -> list[str]:
    """Every token there is; the same for any number of ticks per quarter."""
    return [
        HEADER,
        END,
        *("|", "z", "-", "[", "]", "^", "_", "=", TRIPLET, SINGLE),
        *PITCHES,
        *(str(digit) for digit in range(10)),
        *(f"/{denominator}" for denominator in DENOMINATORS),
        *(METER, TEMPO),
        *KEYS,
        *(VOICE, MERGE, PROGRAM, DRUMS),
        "Z",
    ]


@cache
def key_alteration(letter: int, sharps: int) -> int:
    """How a key signature alters a letter (0 is C): by -1, 0 or 1 semitones."""
    name = LETTERS[letter]
    if sharps > 0:
        return int(SHARPENED.index(name) < sharps)
    return -int(FLATTENED.index(name) < -sharps)


@cache
def spellings(pitch: int) -> list[tuple[int, int, int]]:
    """(letter, alteration, octave) of a pitch: all there are with one accidental at most."""
    found = []
    for letter, natural in enumerate(NATURAL):
        for alteration in (0, 1, -1):
            octave, rest = divmod(pitch - natural - alteration, 12)
            if rest == 0 and 0 <= 7 * octave + letter < len(PITCHES):
                found.append((letter, alteration, octave))
    return found


@cache
def spelling(pitch: int, sharps: int, minor: bool) -> tuple[int, int, int]:
    """(letter, alteration, octave) of a pitch.

    Preferred, in this order: a note of the key; the raised seventh of a minor key; a natural; a
    sharp in sharp keys, and a flat in flat keys.
    """
    # Each sharp moves the tonic up a fifth, which is four letters. The seventh of a minor key is
    # the fifth of its relative major.
    seventh = 4 * sharps + 4
    choices = []
    for letter, alteration, octave in spellings(pitch):
        own = key_alteration(letter, sharps)
        raised = minor and letter == seventh % 7 and alteration == own + 1
        against = alteration * (1 if sharps >= 0 else -1) < 0
        ranks = (alteration != own, not raised, alteration != 0, against)
        choices.append((ranks, (letter, alteration, octave)))
    return min(choices)[1]


TOKEN = re.compile("|".join(re.escape(t) for t in sorted(vocabulary(), key=len, reverse=True)))


def tokens_of(text: str) -> list[str]:
    """The tokens of a text in this dialect. Raises AbcError where no token matches."""
    tokens, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise AbcError(
                f"no ABC token at character {position}: {text[position : position + 12]!r}"
            )
        tokens.append(match[0])
        position = match.end()
    return tokens
