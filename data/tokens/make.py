"""Tokenizers by name, made anew or loaded from JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from data.abc.tokenizer import AbcTokenizer
from data.errors import hint
from data.music.score import TICKS_PER_QUARTER
from data.store.location import Location
from data.store.versioned import VersionError, Word, read_versioned
from data.tokens.bpe import BpeTokenizer
from data.tokens.protocol import Tokenizer

MAX_VOCABULARY = 20_000
AGAIN = "prepare the data again"

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


@dataclass(frozen=True)
class Saved:
    """What `Tokenizer.to_json` writes."""

    name: Word
    ticks_per_quarter: int
    tokens: list[str]
    merges: list[tuple[int, int]] = field(default_factory=list)
    schema: int = 1


def load_tokenizer(path: Path | Location) -> Tokenizer:
    """The tokenizer that `to_json` wrote.

    Raises VersionError for any other file, also if the vocabulary has changed since.
    """
    saved = read_versioned(path, Saved, 1, AGAIN)
    try:
        tokenizer = make_tokenizer(saved.name, saved.ticks_per_quarter)
        if isinstance(tokenizer, BpeTokenizer):
            tokenizer = BpeTokenizer(tokenizer.base, tokenizer.size, saved.merges)
    except ValueError as error:
        raise VersionError(f"{path}: {error}; {AGAIN}") from None
    if tokenizer.to_json() != path.read_text():
        raise VersionError(f"{path}: written by another version; {AGAIN}")
    return tokenizer
