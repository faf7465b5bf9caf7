"""The fields of ABC tunes: keys, meters, tempos and `%%score`, in the spellings that people use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from data.abc.dialect import ALTERATIONS, LETTERS, AbcError, key_alteration
from data.music.maps import DEFAULT_METER, MAX_BPM, MIN_BPM

_MODES = {"": 0, "maj": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2, "min": -3, "m": -3}
_MODES |= {"aeo": -3, "phr": -4, "loc": -5, "exp": 0}
"""Sharps more than in the major key of the same tonic, by the first three letters."""
_SIGN = {"#": 1, "b": -1, "": 0}
_NOT_OF_KEYS = re.compile(
    r"(?:clef|octave|transpose|middle|m|stafflines|staffscale|shift|name|snm|nm)=\S*"
    r"|(?:treble|bass|alto|tenor|perc)(?:[+-]8)?"
)
"""What may stand behind a key, or alone."""
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)")
_TEMPO = re.compile(r"(?:(?P<lengths>(?:\d+/\d+\s*)+)|C(?P<units>\d*))?\s*=?\s*(?P<rate>\d+)\s*$")


@dataclass(frozen=True)
class Key:
    signature: tuple[int, bool] | None
    """(sharps, minor); None where there is none."""
    own: dict[int, int]
    """Alterations that stand beside the signature, by letter (0 is C)."""

    def alteration(self, letter: int) -> int:
        """How the key alters a letter, by -2 to 2 semitones."""
        sharps = self.signature[0] if self.signature else 0
        return self.own.get(letter, key_alteration(letter, sharps))


def key_of(value: str, before: Key) -> Key:
    """The key that `K:value` sets, `before` if it speaks of the clef alone. Raises AbcError."""
    words = [word for word in value.split() if not _NOT_OF_KEYS.fullmatch(word)]
    if not words:
        return before if value.strip() else Key(None, {})
    if words[0] in ("none", "HP", "Hp"):
        return Key(None if words[0] == "none" else (2, False), {})
    found = _KEY.match(" ".join(words))
    mode = found[3].lower()[:3] if found else ""
    if found is None or mode not in _MODES:
        raise AbcError(f"found K:{value}, expected a key such as G, F#m or D dorian")
    sharps = "FCGDAEB".index(found[1]) - 1 + 7 * _SIGN[found[2]] + _MODES[mode]
    if not -7 <= sharps <= 7:
        raise AbcError(f"K:{value} has more than seven sharps or flats")
    own = {
        LETTERS.index(letter.upper()): sum(ALTERATIONS[sign] for sign in marks)
        for marks, letter in re.findall(r"(?<!\S)([\^_=]+)([A-Ga-g])(?!\S)", " ".join(words))
    }
    minor = mode in ("m", "min", "aeo")
    return Key((0, False) if mode == "exp" else (sharps, minor), own)


def meter_of(value: str) -> tuple[int, int] | None:
    """(3, 4) of `3/4`; None of `none`. Raises AbcError."""
    value = value.strip()
    if value in ("", "none"):
        return None
    if value in ("C", "C|"):
        return DEFAULT_METER if value == "C" else (2, 2)
    found = re.search(r"\(?(\d+(?:\s*\+\s*\d+)*)\)?\s*/\s*(\d+)", value)
    over = sum(map(int, found[1].split("+"))) if found else 0
    if found is None or over < 1 or int(found[2]) not in (1, 2, 4, 8, 16, 32):
        raise AbcError(f"found M:{value}, expected a meter such as 3/4, C or none")
    return over, int(found[2])


def tempo_of(value: str, unit: Fraction) -> int | None:
    """Quarters a minute; None if only words stand there.

    unit: quarters of the length 1, in which old tunes count.
    """
    found = _TEMPO.match(re.sub(r'"[^"]*"', "", value).strip())
    if found is None:
        return None
    if found["lengths"]:
        beat = 4 * sum(map(Fraction, found["lengths"].split()), Fraction())
    else:
        beat = unit * int(found["units"] or 1)
    return min(max(round(beat * int(found["rate"])), MIN_BPM), MAX_BPM)


def tracks_of(score: str) -> list[list[str]]:
    """The voices of `(1 2) {3 (4 5)}` that are in one bracket."""
    found, depth = list[list[str]](), 0
    for word in re.findall(r"[(){}\[\]]|[^\s(){}\[\]|*]+", score):
        if word in "({":
            if depth == 0:
                found.append([])
            depth += 1
        elif word in ")}":
            depth -= 1
        elif depth and word not in "[]":
            found[-1].append(word)
    return found
