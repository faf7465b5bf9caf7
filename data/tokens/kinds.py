"""What a token says: a pitch, a length, a bar line or a header. One rule a tokenizer.

| kind | abc | remi, tsd |
| --- | --- | --- |
| pitch | notes, accidentals, brackets of chords, rests | Pitch, PitchDrum, Rest |
| length | lengths, tuplets, ties | Duration, Position, TimeShift |
| bar | bar lines, the end of a piece | Bar, the end of a piece |
| header | the beginning, fields such as meter, key and voice | BOS, TimeSig, Tempo, Program |

Merged tokens (BPE) are of the kind of the first token that they stand for.
"""

from __future__ import annotations

import numpy as np

from data.abc.dialect import (
    DENOMINATORS,
    DRUMS,
    END,
    HEADER,
    KEYS,
    MERGE,
    METER,
    PROGRAM,
    SINGLE,
    TEMPO,
    TRIPLET,
    VOICE,
)
from data.abc.tokenizer import AbcTokenizer
from data.tokens.bpe import BpeTokenizer
from data.tokens.protocol import Tokenizer
from data.tokens.remi_tsd import MidiTokTokenizer

KINDS = ("pitch", "length", "bar", "header")
PITCH, LENGTH, BAR, FIELD = range(4)

_ABC = (
    dict.fromkeys([*map(str, range(10)), *(f"/{each}" for each in DENOMINATORS)], LENGTH)
    | dict.fromkeys([TRIPLET, SINGLE, "-"], LENGTH)
    | dict.fromkeys(["|", END], BAR)
    | dict.fromkeys([HEADER, METER, TEMPO, VOICE, MERGE, PROGRAM, DRUMS, *KEYS], FIELD)
)
"""The kinds of ABC tokens, where they are not of pitch."""
_OPENINGS = (METER, TEMPO, VOICE, PROGRAM)
"""Tokens after which all is of the field, up to its bracket."""
_MIDITOK = (
    dict.fromkeys(["Duration", "Position", "TimeShift"], LENGTH)
    | dict.fromkeys(["Bar", "EOS"], BAR)
    | dict.fromkeys(["BOS", "TimeSig", "Tempo", "Program"], FIELD)
)
"""The same for MidiTok's types of token."""


def kinds(tokenizer: Tokenizer, ids: np.ndarray) -> np.ndarray:
    """The kind of each token of whole pieces, (n,) uint8: an index into `KINDS`.

    ids: (n,) of one piece, or of several end to end.
    """
    if isinstance(tokenizer, BpeTokenizer):
        lengths = np.array([len(each) for each in tokenizer.expansions])[ids]
        return kinds(tokenizer.base, tokenizer.expand(ids))[np.cumsum(lengths) - lengths]
    if isinstance(tokenizer, MidiTokTokenizer):
        vocabulary = tokenizer.tokenizer.vocab
        names = sorted(vocabulary, key=vocabulary.get)
        return np.array([_MIDITOK.get(name.split("_")[0], PITCH) for name in names], np.uint8)[ids]
    assert isinstance(tokenizer, AbcTokenizer)
    found = np.array([_ABC.get(token, PITCH) for token in tokenizer.tokens], np.uint8)[ids]
    opens = np.isin(ids, [tokenizer.ids[token] for token in _OPENINGS])
    place = np.arange(len(ids))
    # Fields and chords close alike, and a chord does not contain a field.
    opened = np.maximum.accumulate(np.where(opens, place, -1))
    closed = np.maximum.accumulate(np.where(ids == tokenizer.ids["]"], place, -1))
    inside = opened > np.concatenate([[-1], closed[:-1]])
    return np.where(inside, FIELD, found).astype(np.uint8)
