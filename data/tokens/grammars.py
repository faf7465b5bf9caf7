"""The grammar of each tokenizer, behind one protocol: `allowed`, `push`, `hurry`."""

from __future__ import annotations

from data.abc.grammar import AbcGrammar
from data.abc.tokenizer import AbcTokenizer
from data.tokens.protocol import Tokenizer
from data.tokens.remi_tsd import MidiTokTokenizer
from data.tokens.remi_tsd_grammar import MidiGrammar


def known(tokenizer: Tokenizer) -> bool:
    """Whether `grammar` has one: merged tokens (BPE) follow no rules of their own."""
    return isinstance(tokenizer, AbcTokenizer | MidiTokTokenizer)


def grammar(tokenizer: Tokenizer, bars: int | None) -> AbcGrammar | MidiGrammar:
    """One piece from its beginning, of at most `bars` bars. Only where it is `known`."""
    if isinstance(tokenizer, AbcTokenizer):
        return AbcGrammar(tokenizer, bars)
    assert isinstance(tokenizer, MidiTokTokenizer)
    return MidiGrammar(tokenizer, bars)
