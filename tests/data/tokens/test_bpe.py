"""Merges shorten pieces, lose nothing, and are the same however the pieces come."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.music.score import Score
from data.store.versioned import VersionError
from data.tokens.bpe import BpeTokenizer
from data.tokens.make import load_tokenizer, make_tokenizer
from tests.data.conftest import melody, same_music


def tunes(count: int) -> list[Score]:
    rng = np.random.default_rng(3)
    scale = [60, 62, 64, 65, 67, 69, 71, 72]
    motif = rng.choice(scale, 8)
    return [melody([*motif.tolist(), *rng.choice(scale, 16).tolist()] * 3) for _ in range(count)]


@pytest.fixture(scope="module", params=["abc", "remi"])
def trained(request: pytest.FixtureRequest) -> BpeTokenizer:
    base = make_tokenizer(request.param, 24)
    untrained = make_tokenizer(f"{request.param}-bpe{base.vocab_size + 60}", 24)
    assert isinstance(untrained, BpeTokenizer)
    return untrained.trained(base.encode_all(tunes(20)))


def test_a_piece_is_shorter_and_comes_back(trained: BpeTokenizer) -> None:
    (score,) = tunes(1)
    ids = trained.encode(score)
    assert len(ids) < 0.7 * len(trained.base.encode(score))
    assert ids.max() < trained.vocab_size == trained.size
    assert (ids[0], ids[-1]) == (trained.bos_id, trained.eos_id)
    np.testing.assert_array_equal(trained.expand(ids), trained.base.encode(score))
    again = trained.decode(ids)
    assert again.canonical() == score.canonical()


def test_the_order_of_the_pieces_does_not_matter(trained: BpeTokenizer) -> None:
    pieces = trained.base.encode_all(tunes(20))
    for order in (pieces[::-1], pieces[7:] + pieces[:7]):
        untrained = BpeTokenizer(trained.base, trained.size)
        assert untrained.trained(order).to_json() == trained.to_json()


def test_it_is_the_same_after_saving(trained: BpeTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(trained.to_json())
    again = load_tokenizer(path)
    for score in tunes(3):
        np.testing.assert_array_equal(again.encode(score), trained.encode(score))
    assert same_music(
        again.decode(again.encode(tunes(1)[0])), trained.decode(trained.encode(tunes(1)[0]))
    )


def test_no_merge_holds_the_beginning_or_the_end(trained: BpeTokenizer) -> None:
    merged = {each for ids in trained.expansions[trained.base.vocab_size :] for each in ids}
    assert not merged & {trained.bos_id, trained.eos_id}


def test_it_cannot_be_used_before_training() -> None:
    with pytest.raises(ValueError, match="learnt nothing"):
        make_tokenizer("abc-bpe500", 24).encode(melody([60]))


@pytest.mark.parametrize("name", ["abc-bpe10", "abc-bpe90000", "abc-bpe", "bpe100", "ABC"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected|mean|there are"):
        make_tokenizer(name, 24)


@pytest.mark.parametrize(
    ("merges", "said"),
    [
        (
            [[5, 5], *([140 + k, 140 + k] for k in range(30))],
            "stand for more than 4,194,304 tokens",
        ),
        ([[5, 500]], "merge 0 is of 5 and 500"),
        ([[-1, 5]], "merge 0 is of -1 and 5"),
        ([["a", 5]], "found merges.0.0 'a', expected a valid integer"),
    ],
)
def test_merges_that_are_none_are_refused_before_they_are_played_out(
    tmp_path: Path, merges: list, said: str
) -> None:
    """Thirty-one that double what they stand for would take 17 GB."""
    path = tmp_path / "tokenizer.json"
    saved = json.loads(make_tokenizer("abc", 24).to_json())
    path.write_text(json.dumps(saved | {"name": "abc-bpe1000", "merges": merges}))
    with pytest.raises(VersionError, match=rf"/tokenizer.json: .*{said}.*; prepare the data again"):
        load_tokenizer(path)
