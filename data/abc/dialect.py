"""The ABC dialect: its tokens and its spelling; see `data.abc.writer` and `data.abc.reader`.

The concatenation of the tokens is the ABC text. Two scores have one text if and only if they agree
in everything but velocities; reading makes the score that was written, but for those.

The dialect, each point chosen so that every reader of ABC hears the same:

- Lengths are in eighths (`L:1/8`). A note that crosses a bar line is written as tied notes.
- Thirds of a length are tuplets: `(3` before three neighbours that are all thirds, `(3:2:1` before
  a single one. ABC 2.1 would allow `G2/3`, abc2midi does not.
- Meter, key and tempo are inline fields, at the start as at changes: `[M:6/8][K:G][Q:1/4=96]`.
  4/4, C and 120 are not written at the start.
- An unmarked note takes the key's alteration. Once a letter has been altered in a bar, each later
  note on that letter in that bar shows its accidental, so ABC's three rules for how far an
  accidental reaches (`%%propagate-accidentals`) all read the same.
- In minor keys the raised seventh takes the letter of the seventh: `^F` in G minor, not `_G`.
- A voice is a line of chords (notes of equal onset and length) and rests. A track whose notes
  overlap otherwise has several, the later ones marked `merge`: of the track before. All are named
  in the first bar. They alternate by systems: the fewest bars, a power of two of them, that last
  three quarters, so that short bars cost no voice mark each. A piece of one voice has none.
- A voice writes the bars in which it sounds, and counts those between: `Z4|` is four bars of
  silence. After its last note it says nothing. Changes of meter and key are told by every voice
  that has still to sound, a bar that such a change cuts short is written out, and the first voice
  carries the tempo.
"""

from __future__ import annotations

import re
from functools import cache

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

SYSTEM_QUARTERS = 3
"""What a system lasts at least."""


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
        "Z",
    ]


def key_alteration(letter: int, sharps: int) -> int:
    """-1, 0 or 1: what a key signature does to a letter (0 is C)."""
    name = LETTERS[letter]
    if sharps > 0:
        return int(SHARPENED.index(name) < sharps)
    return -int(FLATTENED.index(name) < -sharps)


@cache
def spelling(pitch: int, sharps: int, minor: bool) -> tuple[int, int, int]:
    """(letter, alteration, octave) of a pitch: the key's own name, in minor the raised seventh's,
    else a natural letter, else a raised one in sharp keys and a lowered one in flat keys."""
    # Major tonics go up by fifths, four letters each; a minor's seventh is its major's fifth.
    seventh = 4 * sharps + 4
    choices = []
    for letter, natural in enumerate(NATURAL):
        for alteration in (0, 1, -1):
            octave, rest = divmod(pitch - natural - alteration, 12)
            if rest == 0 and 0 <= 7 * octave + letter < len(PITCHES):
                own = key_alteration(letter, sharps)
                raised = minor and letter == seventh % 7 and alteration == own + 1
                against = alteration * (1 if sharps >= 0 else -1) < 0
                ranks = (alteration != own, not raised, alteration != 0, against)
                choices.append((ranks, (letter, alteration, octave)))
    return min(choices)[1]


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
