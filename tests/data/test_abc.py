"""ABC is an exact inverse on every quantised score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from data import abc
from data.score import Score
from tests.data.strategies import scores


def same(left: Score, right: Score) -> bool:
    """Equal in everything but velocities."""
    maps = (left.tempos, left.meters, left.keys) == (right.tempos, right.meters, right.keys)
    return maps and left.canonical() == right.canonical()


@given(scores())
def test_reading_what_was_written_gives_the_score(score: Score) -> None:
    assert same(abc.read(abc.write(score), 24), score)


@given(scores())
def test_the_text_alone_is_enough(score: Score) -> None:
    tokens = abc.write(score)
    assert abc.split("".join(tokens)) == tokens


@given(scores(ticks_per_quarter=8))
def test_a_coarse_grid_is_exact_too(score: Score) -> None:
    assert same(abc.read(abc.write(score), 8), score)


@given(scores())
def test_every_token_is_in_the_fixed_vocabulary(score: Score) -> None:
    assert set(abc.write(score)) <= set(abc.vocabulary())


def test_no_token_is_there_twice() -> None:
    assert len(set(abc.vocabulary())) == len(abc.vocabulary()) == 139


def test_pitches_cover_midi_and_middle_c_is_c() -> None:
    assert abc.NATURAL_PITCH["C"] == 60
    assert abc.NATURAL_PITCH["c'"] == 84
    assert abc.PITCHES[0] == "C,,,,,"
    assert abc.PITCHES[-1] == "g''''"


@pytest.mark.parametrize("sharps", range(-7, 8))
def test_every_pitch_has_a_spelling_that_sounds_like_it(sharps: int) -> None:
    for pitch in range(128):
        letter, alteration, octave = abc.spelling(pitch, sharps)
        assert abc.NATURAL_PITCH[abc.PITCHES[7 * octave + letter]] + alteration == pitch


def tune(body: str) -> list[str]:
    return abc.split(f"{abc.HEADER}{body}{abc.END}")


def test_a_tune_reads_as_a_musician_would() -> None:
    score = abc.read(tune("[M:6/8][K:G]G2AB3|^c=cc/2d/2[Gc]2z|"), 24)
    assert score.pitch.tolist() == [67, 69, 71, 73, 72, 72, 74, 67, 72]
    assert score.onset.tolist() == [0, 24, 36, 72, 84, 96, 102, 108, 108]
    assert score.keys == ((0, 1, False),)


def test_triplets_last_two_thirds() -> None:
    assert abc.read(tune("(3GAB(3:2:1c2|"), 24).duration.tolist() == [8, 8, 8, 16]


def test_ties_join_across_bar_lines() -> None:
    score = abc.read(tune("G4-|G4|"), 24)
    assert score.duration.tolist() == [96]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("G", "ends without"),
        ("z4|", "no notes"),
        ("[M:3|", "expected a denominator"),
        ("(3G(3A", "the rest of a triplet"),
        ("G/32|", "off the grid"),
        ("[V:2]G|", "out of order"),
    ],
)
def test_what_is_no_piece_is_refused_in_one_line(body: str, message: str) -> None:
    tokens = tune(body) if body != "G" else tune(body)[:-1]
    with pytest.raises(abc.AbcError, match=message) as refused:
        abc.read(tokens, 24)
    assert "\n" not in str(refused.value).replace("\\n", "")


def test_what_is_no_token_is_refused_with_its_place() -> None:
    with pytest.raises(abc.AbcError, match="character 3"):
        abc.split("GAB?")


def test_an_altered_letter_shows_its_accidental_to_the_end_of_the_bar() -> None:
    """So every rule for how far an accidental reaches reads the same."""
    score = abc.read(tune("^FFG4|F8|"), 24)
    text = "".join(abc.write(score))
    assert "^F^FG4" in text
    assert np.array_equal(score.pitch, [66, 66, 67, 65])
