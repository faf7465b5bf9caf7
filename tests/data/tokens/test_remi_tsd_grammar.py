"""What the grammar of REMI and TSD lets through decodes as drawn; what MidiTok writes, it lets
through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.music.files import from_midi
from data.music.score import ScoreError
from data.tokens.remi_tsd import MidiTokTokenizer
from data.tokens.remi_tsd_grammar import MidiGrammar
from tests.data.conftest import corpus_members, melody

NAMES = ["remi", "tsd"]
TOKENIZERS = {(name, grid): MidiTokTokenizer(name, grid) for name in NAMES for grid in (24, 8)}
MOST = 200
"""Tokens after which a piece is led to its end."""


def wander(tokenizer: MidiTokTokenizer, seed: int, bars: int | None) -> list[str]:
    """A piece of tokens drawn blindly from those allowed, each kind alike, rarely the end."""
    generator = np.random.default_rng(seed)
    names = sorted(tokenizer.tokenizer.vocab, key=tokenizer.tokenizer.vocab.get)
    kinds = np.array([name.split("_")[0] for name in names])
    grammar, drawn = MidiGrammar(tokenizer, bars), list[str]()
    while not drawn or drawn[-1] != "EOS_None":
        allowed = np.flatnonzero(grammar.allowed)
        open_kinds = sorted(set(kinds[allowed]))
        if len(open_kinds) > 1 and generator.random() < 0.95:
            open_kinds = [kind for kind in open_kinds if kind != "EOS"]
        kind = generator.choice(open_kinds)
        token = int(generator.choice(allowed[kinds[allowed] == kind]))
        grammar.push(token)
        drawn.append(names[token])
        if len(drawn) == MOST:
            grammar.hurry()
    return drawn


def ids(tokenizer: MidiTokTokenizer, drawn: list[str]) -> np.ndarray:
    return np.array([tokenizer.tokenizer.vocab[name] for name in drawn], np.uint16)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(TOKENIZERS)),
    st.integers(0, 2**32),
    st.none() | st.integers(1, 8),
)
def test_every_note_that_is_drawn_is_heard(
    which: tuple[str, int], seed: int, bars: int | None
) -> None:
    tokenizer = TOKENIZERS[which]
    drawn = wander(tokenizer, seed, bars)
    score = tokenizer.decode(ids(tokenizer, drawn))
    pitches = [int(name.split("_")[1]) for name in drawn if name.startswith("Pitch")]
    assert sorted(score.pitch.tolist()) == sorted(pitches)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bars", [1, 3])
def test_a_piece_has_at_most_the_bars_asked_for(name: str, bars: int) -> None:
    tokenizer = TOKENIZERS[name, 24]
    for seed in range(20):
        score = tokenizer.decode(ids(tokenizer, wander(tokenizer, seed, bars)))
        assert np.searchsorted(score.bars, score.onset.max(), side="right") <= bars


@pytest.mark.parametrize("name", NAMES)
def test_hurried_it_ends_soon(name: str) -> None:
    for seed in range(20):
        assert len(wander(TOKENIZERS[name, 24], seed, None)) <= MOST + 6


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_follow_is_refused(name: str) -> None:
    tokenizer = TOKENIZERS[name, 24]
    grammar = MidiGrammar(tokenizer)
    with pytest.raises(ValueError, match="Pitch_60 cannot follow nothing"):
        grammar.push(tokenizer.tokenizer.vocab["Pitch_60"])


@pytest.mark.parametrize("name", NAMES)
def test_it_accepts_real_music(name: str) -> None:
    """Of one track: MidiTok merges tracks of one instrument, and says their unisons twice."""
    tokenizer = TOKENIZERS[name, 24]
    for _, midi in corpus_members("nottingham", limit=60):
        try:
            written = tokenizer.encode(from_midi(midi, 24))
        except ScoreError:
            continue
        grammar = MidiGrammar(tokenizer)
        for token in written.tolist():
            grammar.push(token)


def test_it_accepts_a_change_of_meter() -> None:
    tune = melody([60, 62, 64, 72, 55, 57, 59], meters=[(0, 3, 4), (288, 6, 8)])
    for tokenizer in TOKENIZERS.values():
        grammar = MidiGrammar(tokenizer)
        for token in tokenizer.encode(tune).tolist():
            grammar.push(token)
