"""Tokenizers as `transformers` has them give our ids of a text, and the text of our ids."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from data.abc.tokenizer import AbcTokenizer
from data.music.files import from_midi
from data.music.score import Score
from data.sources import folk
from data.tokens.bpe import BpeTokenizer
from data.tokens.fast import ends, fast, written
from data.tokens.make import make_tokenizer
from data.tokens.protocol import Tokenizer
from tests.data.conftest import scores

NAMES = ["abc", "remi", "tsd", "abc-bpe200", "remi-bpe1150"]


@pytest.fixture(scope="module")
def tunes() -> list[Score]:
    """Real ones, of which none comes twice."""
    made = [folk.to_midi(tune) for _, tune in folk.tunes()[4000:4012]]
    return [from_midi(each, 24) for each in made if isinstance(each, bytes)]


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request: pytest.FixtureRequest, tunes: list[Score]) -> Tokenizer:
    made = make_tokenizer(request.param, 24)
    if isinstance(made, BpeTokenizer):
        return made.trained(made.base.encode_all(tunes))
    return made


def test_a_text_has_our_ids_and_comes_back(tokenizer: Tokenizer, tunes: list[Score]) -> None:
    made = fast(tokenizer)
    assert made.get_vocab_size() == tokenizer.vocab_size
    for score in tunes:
        ids = tokenizer.encode(score)
        text = written(tokenizer, ids)
        assert made.encode(text).ids == ids.tolist()
        back = made.decode(ids.tolist(), skip_special_tokens=False)
        assert back == text
        assert np.array_equal(made.encode(back).ids, ids)


def test_what_transformers_makes_of_the_file_is_the_same(
    tokenizer: Tokenizer, tunes: list[Score], tmp_path: Path
) -> None:
    auto = pytest.importorskip("transformers").AutoTokenizer
    bos, eos = ends(tokenizer)
    fast(tokenizer).save(str(tmp_path / "tokenizer.json"))
    named = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(named))
    loaded = auto.from_pretrained(tmp_path)
    assert (loaded.bos_token_id, loaded.eos_token_id) == (tokenizer.bos_id, tokenizer.eos_id)
    ids = tokenizer.encode(tunes[0]).tolist()
    assert loaded(written(tokenizer, np.array(ids))).input_ids == ids
    assert loaded.decode(ids) == written(tokenizer, np.array(ids))


@settings(max_examples=100)
@given(scores())
def test_any_score_has_our_ids(score: Score) -> None:
    tokenizer = AbcTokenizer(score.ticks_per_quarter)
    ids = tokenizer.encode(score)
    assert FAST.encode(tokenizer.to_text(ids)).ids == ids.tolist()
    merged = MERGED.encode(score) if score.ticks_per_quarter == 24 else MERGED.shorten(ids)
    assert FAST_MERGED.encode(tokenizer.to_text(ids)).ids == merged.tolist()


FAST = fast(AbcTokenizer())
CHORD = AbcTokenizer().ids["["], AbcTokenizer().ids["C"]
MERGED = BpeTokenizer(AbcTokenizer(), 145, [CHORD, (35, 36), (140, 37), (20, 30), (36, 36)])
FAST_MERGED = fast(MERGED)


def test_a_text_that_is_none_of_ours_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(Exception, match=r"not found|Missing"):
        fast(tokenizer).encode("What is this?")


def test_merges_have_to_be_learnt_first() -> None:
    with pytest.raises(ValueError, match="learnt nothing"):
        fast(make_tokenizer("abc-bpe200", 24))
