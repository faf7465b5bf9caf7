"""The grammar for each tokenizer; all of them offer `allowed`, `push` and `hurry`."""

from __future__ import annotations

import numpy as np

from data.abc.grammar import AbcGrammar
from data.abc.tokenizer import AbcTokenizer
from data.tokens.protocol import Tokenizer
from data.tokens.remi_tsd import MidiTokTokenizer
from data.tokens.remi_tsd_grammar import MidiGrammar


def known(tokenizer: Tokenizer) -> bool:
    """Whether there is a grammar for this tokenizer; there is none for merged tokens (BPE)."""
    return isinstance(tokenizer, AbcTokenizer | MidiTokTokenizer)


def grammar(tokenizer: Tokenizer, bars: int | None) -> AbcGrammar | MidiGrammar:
    """The grammar for one piece of at most `bars` bars. Only for a tokenizer that is `known`."""
    if isinstance(tokenizer, AbcTokenizer):
        return AbcGrammar(tokenizer, bars)
    assert isinstance(tokenizer, MidiTokTokenizer)
    return MidiGrammar(tokenizer, bars)


def refused_at(tokenizer: Tokenizer, tokens: np.ndarray) -> int | None:
    """The index of the first token that the grammar refuses; None if there is none."""
    if not known(tokenizer):
        return None
    walk = grammar(tokenizer, None)
    for index, token in enumerate(tokens.tolist()):
        try:
            walk.push(token)
        except ValueError:
            return index
    return None
