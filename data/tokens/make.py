"""Tokenizers by their names, made new or loaded from JSON."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from pathlib import Path

from data.abc.tokenizer import AbcTokenizer
from data.store.location import Location
from data.tokens.bpe import BpeTokenizer
from data.tokens.protocol import Tokenizer

GRIDS = (8, 12, 24)
"""Ticks a quarter that lengths can be spelled on."""
MAX_VOCABULARY = 20_000


TOKENIZERS = ("abc", "remi", "tsd")
_NAME = re.compile(r"(?P<base>[a-z]+)(?:-bpe(?P<size>\d+))?")


def make_tokenizer(name: str, ticks_per_quarter: int) -> Tokenizer:
    """One of `TOKENIZERS`, or `NAME-bpeSIZE`: the same, to be trained to a vocabulary of SIZE.

    Raises ValueError for another name, or a grid that it cannot spell.
    """
    if ticks_per_quarter not in GRIDS:
        raise ValueError(f"ticks_per_quarter is {ticks_per_quarter}, expected one of {GRIDS}")
    match = _NAME.fullmatch(name)
    if match is None or match["base"] not in TOKENIZERS:
        near = get_close_matches(name.partition("-")[0], TOKENIZERS, n=1, cutoff=0.4)
        raise ValueError(
            f"unknown tokenizer {name!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"expected {', '.join(TOKENIZERS)}")
            + "; with merges: 'remi-bpe1000'"
        )
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
    # Here and not above: the import takes two seconds that the abc tokenizer need not pay.
    from data.tokens.remi_tsd import MidiTokTokenizer

    return MidiTokTokenizer(name, ticks_per_quarter)


def load_tokenizer(path: Path | Location) -> Tokenizer:
    """The tokenizer that `to_json` wrote. Raises ValueError if it is another vocabulary by now."""
    fields = json.loads(path.read_text())
    tokenizer = make_tokenizer(fields["name"], fields["ticks_per_quarter"])
    if isinstance(tokenizer, BpeTokenizer):
        tokenizer = BpeTokenizer(tokenizer.base, tokenizer.size, fields["merges"])
    if tokenizer.to_json() != path.read_text():
        raise ValueError(f"{path}: written by another version; prepare the data again")
    return tokenizer
