"""Long pieces are cut at bar lines, and no sound is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data.abc.tokenizer import AbcTokenizer
from data.music.quantise import quantise
from data.music.score import Score
from data.music.sections import section
from data.tokens.pieces import cut
from tests.data.conftest import make_midi, melody, same_music, scores


def sounding(score: Score, start: int = 0) -> set[tuple[int, int, int]]:
    """(tick, pitch, program) of every tick of every note; two tracks in unison count once."""
    return {
        (start + tick, pitch, program)
        for onset, duration, pitch, program in zip(
            score.onset.tolist(),
            score.duration.tolist(),
            score.pitch.tolist(),
            score.program.tolist(),
        )
        for tick in range(onset, onset + duration)
    }


@settings(max_examples=100)
@given(scores(), st.data())
def test_two_halves_sound_like_the_whole(score: Score, data: st.DataObject) -> None:
    bars = len(score.bars) - 1
    middle = data.draw(st.integers(0, bars))
    heard: set[tuple[int, int, int]] = set()
    for first, stop in ((0, middle), (middle, bars)):
        part = section(score, first, stop) if first < stop else None
        if part is not None:
            heard |= sounding(part, int(score.bars[first]))
    assert heard == sounding(score)


@settings(max_examples=100)
@given(scores(), st.data())
def test_a_section_is_a_score_like_any_other(score: Score, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(score.bars) - 2))
    part = section(score, first, len(score.bars) - 1)
    if part is not None:
        tokenizer = AbcTokenizer(score.ticks_per_quarter)
        assert same_music(tokenizer.decode(tokenizer.encode(part)), part)
        np.testing.assert_array_equal(
            part.bars, score.bars[first : first + len(part.bars)] - score.bars[first]
        )


def test_parts_are_in_order_and_none_is_too_long() -> None:
    tokenizer = AbcTokenizer()
    score = melody([60, 62, 64, 65, 67, 69, 71, 72] * 40)
    parts = cut(score, tokenizer.encode(score), tokenizer, 64)
    assert all(len(part.tokens) <= 64 for part in parts)
    assert [part.first_bar for part in parts] == sorted(part.first_bar for part in parts)
    assert sum(len(part.score) for part in parts) == len(score)


def test_a_part_goes_on_in_the_meter_key_and_tempo_of_the_whole() -> None:
    midi = make_midi(
        [(5, False, [(at * 96, 96, 60) for at in range(30)])],
        tempos=[(0, 90), (1152, 60)],
        meters=[(0, 3, 4)],
        keys=[(0, 2, 0)],
    )
    part = section(quantise(midi, 24), 2, 10)
    assert part is not None
    assert part.meters == ((0, 3, 4),)
    assert part.keys == ((0, 2, False),)
    assert part.tempos == ((0, 90), (144, 60))
    assert set(part.program.tolist()) == {5}


def test_a_bar_that_alone_is_too_long_is_left_out() -> None:
    tokenizer = AbcTokenizer()
    score = melody(list(range(30, 94)), duration=6)
    assert cut(score, tokenizer.encode(score), tokenizer, 20) == []
