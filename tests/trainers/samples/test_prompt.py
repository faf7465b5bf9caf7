"""What is taken of a tune as a prompt, and what is none."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from data.abc.tokenizer import AbcTokenizer
from data.music.files import from_midi, to_midi
from data.music.quantise import quantise
from data.music.score import Score, ScoreError
from data.sources.folders import shards
from data.store.location import Location
from data.tokens.make import make_tokenizer
from tests.data.conftest import make_midi, melody
from trainers.samples.prompt import PromptError, read_prompt

TOKENIZER = AbcTokenizer()
CORPORA = os.environ.get("CRESCENDO_CORPORA")


def prompt_of(score: Score, folder: Path, bars: int) -> tuple[Score, int, int]:
    """The music of a prompt, and its bars and ticks."""
    (folder / "tune.mid").write_bytes(to_midi(score))
    found = read_prompt(folder / "tune.mid", TOKENIZER, bars)
    ended = np.append(found.tokens, TOKENIZER.eos_id)
    return TOKENIZER.decode(ended), found.bars, found.end


def test_it_is_cut_at_a_bar_line(tmp_path: Path) -> None:
    # A note is held over the line.
    notes = [(0, 336, 60), (336, 96, 62), (432, 48, 64)]
    score, bars, end = prompt_of(quantise(make_midi([(0, False, notes)]), 24), tmp_path, 1)
    assert (score.onset.tolist(), score.duration.tolist()) == ([0, 84], [84, 12])
    assert (bars, end) == (1, 96)


def test_it_begins_with_the_bar_of_the_first_note(tmp_path: Path) -> None:
    late = quantise(make_midi([(0, False, [(3 * 384 + 96, 96, 60)])]), 24)
    score, bars, end = prompt_of(late, tmp_path, 4)
    assert score.onset.tolist() == [24]
    assert (bars, end) == (1, 96)


def test_a_short_tune_is_a_prompt_as_it_is(tmp_path: Path) -> None:
    score, bars, _ = prompt_of(melody([60] * 16), tmp_path, 4)
    assert (len(score), bars) == (16, 2)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "tune.mid"), (b"MThd\0\0", "tune.mid"), (b"X:1\nK:C\nCDE", "MIDI")]
)
def test_what_is_no_music_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "tune.mid").write_bytes(content)
    with pytest.raises(PromptError, match=said):
        read_prompt(tmp_path / "tune.mid", TOKENIZER, 4)


@pytest.mark.skipif(not CORPORA, reason="CRESCENDO_CORPORA is not set")
@pytest.mark.parametrize("tokenizer", ["abc", "remi"])
@pytest.mark.parametrize("corpus", ["nottingham", "pop909", "multitrack"])
def test_files_of_the_corpora_are_prompts(corpus: str, tokenizer: str, tmp_path: Path) -> None:
    """The first twenty of each that are music."""
    made = make_tokenizer(tokenizer, 24)
    refused = []
    source = Location.of(f"{CORPORA}/{corpus}.tar.gz")
    found = (content for shard in shards(source) for _, content in shard.read())
    files = (content for content in found if isinstance(content, bytes) and is_music(content))
    for content in islice(files, 20):
        (tmp_path / "tune.mid").write_bytes(content)
        try:
            read_prompt(tmp_path / "tune.mid", made, 4)
        except PromptError as error:
            refused.append(str(error))
    assert refused == []


def is_music(content: bytes) -> bool:
    try:
        return bool(len(from_midi(content, 24)))
    except ScoreError:
        return False
