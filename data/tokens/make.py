"""Tokenizers by name, made anew or loaded from JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

from data.abc.tokenizer import AbcTokenizer
from data.errors import hint
from data.music.score import TICKS_PER_QUARTER
from data.store.location import Location
from data.tokens.bpe import BpeTokenizer
from data.tokens.protocol import Tokenizer

MAX_VOCABULARY = 20_000


TOKENIZERS = ("abc", "remi", "tsd")
_NAME = re.compile(r"(?P<base>[a-z]+)(?:-bpe(?P<size>\d+))?")


def make_tokenizer(name: str, ticks_per_quarter: int) -> Tokenizer:
    """One of `TOKENIZERS`, or, as `NAME-bpeSIZE`, one that merges may extend to SIZE tokens.

    Raises ValueError for other names, and for ticks in which not every length can be written.
    """
    if ticks_per_quarter not in TICKS_PER_QUARTER:
        expected = f"expected one of {TICKS_PER_QUARTER}"
        raise ValueError(f"ticks_per_quarter is {ticks_per_quarter}, {expected}")
    match = _NAME.fullmatch(name)
    if match is None or match["base"] not in TOKENIZERS:
        meant = hint(name.partition("-")[0], TOKENIZERS)
        raise ValueError(f"unknown tokenizer {name!r}{meant}; with merges: 'remi-bpe1000'")
    base = _base(match["base"], ticks_per_quarter)
    if match["size"] is None:
        return base
    size = int(match["size"])
    if not base.vocab_size < size <= MAX_VOCABULARY:
        raise ValueError(
            f"{name}: {match['base']} has {base.vocab_size} tokens; "
            f"expected a size above that, up to {MAX_VOCABULARY:,}"
        )
    return BpeTokenizer(base, size)


def _base(name: str, ticks_per_quarter: int) -> Tokenizer:
    if name == "abc":
        return AbcTokenizer(ticks_per_quarter)
    # Imported here, because it takes two seconds that the abc tokenizer does not need.
    from data.tokens.remi_tsd import MidiTokTokenizer

    return MidiTokTokenizer(name, ticks_per_quarter)


def load_tokenizer(path: Path | Location) -> Tokenizer:
    """The tokenizer that `to_json` wrote. Raises ValueError if its vocabulary has changed since."""
    fields = json.loads(path.read_text())
    tokenizer = make_tokenizer(fields["name"], fields["ticks_per_quarter"])
    if isinstance(tokenizer, BpeTokenizer):
        tokenizer = BpeTokenizer(tokenizer.base, tokenizer.size, fields["merges"])
    if tokenizer.to_json() != path.read_text():
        raise ValueError(f"{path}: written by another version; prepare the data again")
    return tokenizer
