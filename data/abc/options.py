"""What can be written at one place in the ABC dialect, as sets of tokens."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np

from data.abc.dialect import KEY_TOKENS, MARKS, PITCHES, key_alteration, spelling
from data.abc.tokenizer import AbcTokenizer

MAX_NUMERATOR = 255
"""The largest numerator of a meter, which is a byte in a MIDI file."""

Lengths = dict[str, dict[str, int]]
"""For the digits so far, what may come: a digit, or a denominator or "", with the ticks."""


def shortest_length(eighth: int) -> int:
    """The ticks of the shortest element outside tuplets."""
    return 3 if eighth % 3 == 0 else 1


@lru_cache(maxsize=4096)
def lengths_within(most: int, eighth: int, thirds: bool) -> Lengths:
    """All lengths of at most `most` ticks, as the writer would write them."""
    found: Lengths = {}
    for ticks in range(1, most + 1):
        if eighth % 3 == 0 and thirds != (ticks % 3 != 0):
            continue
        numerator, denominator = (3 * ticks, 2 * eighth) if thirds else (ticks, eighth)
        divisor = gcd(numerator, denominator)
        text = str(numerator // divisor) if numerator > divisor else ""
        unit = f"/{denominator // divisor}" if denominator > divisor else ""
        for place, digit in enumerate(text):
            found.setdefault(text[:place], {})[digit] = 0
        found.setdefault(text, {})[unit] = ticks
    return found


@lru_cache(maxsize=65536)
def note_tokens(
    pitches: tuple[int, ...], sharps: int, minor: bool, altered: frozenset[int], mark: str
) -> frozenset[str]:
    """The next tokens of notes on these pitches; mark: the accidental so far, or ""."""
    tokens = set()
    for pitch in pitches:
        letter, alteration, octave = spelling(pitch, sharps, minor)
        due = letter in altered or alteration != key_alteration(letter, sharps)
        if not mark:
            tokens.add(MARKS[alteration] if due else PITCHES[7 * octave + letter])
        elif due and MARKS[alteration] == mark:
            tokens.add(PITCHES[7 * octave + letter])
    return frozenset(tokens)


@lru_cache(maxsize=65536)
def next_digits(values: frozenset[str], text: str) -> frozenset[str]:
    """The digits that continue `text` towards one of `values`."""
    place = len(text)
    return frozenset(v[place] for v in values if len(v) > place and v.startswith(text))


@lru_cache
def silence_counts(most: int) -> frozenset[str]:
    """What may follow `Z`; nothing stands for one bar."""
    return frozenset(["", *map(str, range(2, most + 1))])


@lru_cache(maxsize=65536)
def mask_of(tokenizer: AbcTokenizer, options: frozenset[str]) -> np.ndarray:
    """(vocab_size,) bool."""
    allowed = np.zeros(tokenizer.vocab_size, bool)
    allowed[[tokenizer.ids[option] for option in options]] = True
    return allowed


def key_token(key: tuple[int, bool] | None) -> str:
    return KEY_TOKENS[key] if key else ""


ALL_PITCHES = list(range(1, 128))
"""All but 0, which abc2midi reads as -1 in flat minor keys."""
PROGRAMS = frozenset(map(str, range(1, 128)))
NUMERATORS = frozenset(map(str, range(1, MAX_NUMERATOR + 1)))
TEMPOS = frozenset(map(str, range(4, 1000)))
