"""What the grammar lets through is music, and it lets through what the writer writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from data.abc.dialect import HEADER, tokens_of
from data.abc.grammar import MAX_VOICES, AbcGrammar
from data.abc.tokenizer import AbcTokenizer
from data.music.files import from_midi
from data.music.score import ScoreError
from tests.data.conftest import corpus_members, melody, same_music

ABC2MIDI = Path(symusic.__file__).parent / "bin" / "abc2midi"


def wander(tokenizer: AbcTokenizer, seed: int, bars: int) -> np.ndarray:
    """A piece of tokens drawn blindly from those allowed, rarely the end."""
    generator = np.random.default_rng(seed)
    grammar, ids = AbcGrammar(tokenizer, bars), list[int]()
    while not ids or ids[-1] != tokenizer.eos_id:
        allowed = np.flatnonzero(grammar.allowed)
        going_on = allowed[allowed != tokenizer.eos_id]
        if len(going_on) and generator.random() < 0.95:
            allowed = going_on
        ids.append(int(generator.choice(allowed)))
        grammar.push(ids[-1])
        if len(ids) == 300:
            grammar.hurry()
    return np.array(ids, np.uint16)


def follow(tokenizer: AbcTokenizer, ids: list[int]) -> AbcGrammar:
    """The grammar after these tokens. Raises ValueError at one that cannot follow."""
    grammar = AbcGrammar(tokenizer)
    for token in ids:
        grammar.push(token)
    return grammar


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([24, 12, 8]), st.integers(1, 4))
def test_what_wanders_through_it_reads_back_the_same(seed: int, grid: int, bars: int) -> None:
    tokenizer = AbcTokenizer(grid)
    score = tokenizer.decode(wander(tokenizer, seed, bars))
    assert same_music(tokenizer.decode(tokenizer.encode(score)), score)


def test_bars_add_up() -> None:
    """Each bar line of the text stands where the score has one."""
    tokenizer = AbcTokenizer()
    for seed in range(30):
        ids = wander(tokenizer, seed, 4)
        score = tokenizer.decode(ids)
        grammar, lines = AbcGrammar(tokenizer), {0}
        for token in ids.tolist():
            grammar.push(token)
            lines |= set(grammar._bars.lines)
        assert set(score.bars) <= lines


def test_abc2midi_reads_it(tmp_path: Path) -> None:
    tokenizer = AbcTokenizer()
    for seed in range(40):
        text = tokenizer.to_text(wander(tokenizer, seed, 2))
        (tmp_path / "piece.abc").write_text(text)
        run = [str(ABC2MIDI), "piece.abc", "-o", "piece.mid"]
        told = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Error" not in told.stdout + told.stderr
        assert symusic.Score.from_midi((tmp_path / "piece.mid").read_bytes()).note_num() > 0


@pytest.mark.parametrize(("corpus", "files"), [("nottingham", 60), ("multitrack", 5)])
def test_it_accepts_real_music(corpus: str, files: int) -> None:
    tokenizer, accepted = AbcTokenizer(), 0
    for _, midi in corpus_members(corpus, limit=files):
        try:
            ids = tokenizer.encode(from_midi(midi, 24)).tolist()
        except ScoreError:
            continue
        if f"[V:{MAX_VOICES + 1}" in tokenizer.to_text(np.array(ids)):
            continue
        follow(tokenizer, ids)
        accepted += 1
    assert accepted


@pytest.mark.parametrize(
    "text",
    [
        "CDEFGABcd",  # nine eighths in a bar of eight
        "C2D2E2|",  # six
        "C8-|D8|",  # a tie to another note
        "(3CD|",  # two of a triplet
        "_D8|",  # a spelling that the key would not give
        "^FF7|",  # a letter that was altered, without its sign
        "z8|\n",  # no note
        "[CC]8|",  # one pitch twice
        "C8|[Q:1/4=90]\n",  # a change that nothing follows
    ],
)
def test_it_refuses(text: str) -> None:
    tokenizer = AbcTokenizer()
    with pytest.raises(ValueError, match="cannot follow"):
        follow(tokenizer, [tokenizer.ids[token] for token in tokens_of(HEADER + text)])


def test_it_ends_after_the_bars_asked_for() -> None:
    tokenizer = AbcTokenizer()
    for seed in range(20):
        assert len(tokenizer.decode(wander(tokenizer, seed, 3)).bars) <= 4


def test_a_prompt_is_followed() -> None:
    tokenizer = AbcTokenizer()
    grammar = follow(tokenizer, tokenizer.encode(melody([60, 62, 64, 65] * 2)).tolist()[:-1])
    assert grammar.allowed[tokenizer.eos_id]
