"""Other keys, the same music."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.abc.tokenizer import AbcTokenizer
from data.music.quantise import quantise
from data.music.score import Score
from data.music.transpose import SEMITONES, transpose
from data.tokens.pieces import transposed_tokens
from data.works.signatures import runs
from tests.data.conftest import make_midi, melody, same_music, scores


@settings(max_examples=100)
@given(scores(), st.sampled_from(SEMITONES))
def test_up_and_down_again_is_the_same_music(score: Score, semitones: int) -> None:
    there = transpose(score, semitones)
    if there is not score:
        back = transpose(there, -semitones)
        assert back.canonical() == score.canonical()
        assert [(s - t) % 12 for (_, s, _), (_, t, _) in zip(back.keys, score.keys)] == [0] * len(
            score.keys
        )


@pytest.mark.parametrize(
    ("sharps", "semitones", "expected"), [(0, 2, 2), (0, -1, 5), (1, 1, -4), (-3, 3, 6), (5, 2, -5)]
)
def test_the_key_goes_along(sharps: int, semitones: int, expected: int) -> None:
    score = melody([60, 62], keys=[(0, sharps, 1)])
    assert transpose(score, semitones).keys == ((0, expected, True),)


def test_drums_stay_and_the_range_of_midi_is_not_left() -> None:
    midi = make_midi([(0, False, [(0, 96, 60)]), (0, True, [(0, 96, 36)])])
    score = transpose(quantise(midi, 24), 3)
    assert sorted(zip(score.pitch.tolist(), score.is_drum.tolist())) == [(36, True), (63, False)]
    high = melody([60, 125])
    assert transpose(high, 5) is high


def test_tokens_of_pieces_are_transposed_each_by_its_own() -> None:
    tokenizer = AbcTokenizer()
    tunes = [melody([60, 64, 67], keys=[(0, 0, 0)]), melody([62, 65, 69], keys=[(0, -1, 1)])]
    moved = transposed_tokens(tokenizer, tokenizer.encode_all(tunes), [2, 0])
    assert tokenizer.to_text(moved[0]).endswith("[K:D]DFAz5|\n")
    assert same_music(tokenizer.decode(moved[1]), tunes[1])
    np.testing.assert_array_equal(runs(tokenizer.decode(moved[0])), runs(tunes[0]))
