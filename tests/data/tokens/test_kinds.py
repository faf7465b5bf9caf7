"""What each token says: a pitch, a length, a bar line or a header."""

from __future__ import annotations

import numpy as np
import pytest

from data.abc.dialect import tokens_of
from data.abc.tokenizer import AbcTokenizer
from data.tokens.bpe import BpeTokenizer
from data.tokens.kinds import KINDS, kinds
from data.tokens.make import make_tokenizer
from tests.data.conftest import melody

HEADER = "X:1\nM:4/4\nL:1/8\nK:C\n"


def test_the_kinds_of_abc() -> None:
    """A digit is a length, and within a field part of the header; brackets of chords are pitches,
    and those of fields are not."""
    tokenizer = AbcTokenizer()
    told = {
        HEADER: "h",
        "[M:6/8]": "hhhh",
        "[K:G]": "h",
        "[Q:1/4=96]": "hhhh",
        "[V:12 merge]": "hhhhh",
        "[CE]3/2": "ppppll",
        "^f-": "ppl",
        "|": "b",
        "(3fz2_B/4": "lpplppl",
        "[I:MIDI program 3]": "hhh",
        "Z4": "pl",
        "\n": "b",
    }
    ids = np.array([tokenizer.ids[token] for token in tokens_of("".join(told))])
    found = "".join(KINDS[each][0] for each in kinds(tokenizer, ids))
    assert found == "".join(told.values())


@pytest.mark.parametrize("name", ["remi", "tsd"])
def test_the_kinds_of_midi_tokens(name: str) -> None:
    tokenizer = make_tokenizer(name, 24)
    ids = tokenizer.encode(melody([60, 62]))
    found = [KINDS[each] for each in kinds(tokenizer, ids)]
    assert found.count("pitch") == 2
    assert found.count("length") >= 2
    assert (found[0], found[-1]) == ("header", "bar")


def test_a_merged_token_is_of_the_kind_that_it_begins_with() -> None:
    base = AbcTokenizer()
    pieces = [base.encode(melody([60, 64, 67, 60, 64, 67], duration=96)) for _ in range(3)]
    tokenizer = BpeTokenizer(base, base.vocab_size + 3).trained(pieces)
    merged = tokenizer.shorten(pieces[0])
    assert len(merged) < len(pieces[0])
    firsts = np.cumsum([0, *(len(tokenizer.expansions[each]) for each in merged)])[:-1]
    assert kinds(tokenizer, merged).tolist() == kinds(base, pieces[0])[firsts].tolist()
