"""Measures: known values, no difference where there is none, a large one on shuffled notes."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from data.music.files import from_midi
from data.music.quantise import quantise
from data.music.score import Score, ScoreError
from tests.data.conftest import corpus_members, make_midi, melody
from trainers.samples.measures import Estimate, difference, mean, measure, share

SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


def test_a_scale_in_even_notes() -> None:
    found = measure(melody(SCALE * 2))
    assert found["pitch_class_entropy"] == pytest.approx(2.75)
    assert found["scale_consistency"] == 1
    assert found["groove_consistency"] == 1
    assert found["polyphony"] == 1
    assert found["empty_beats"] == 0
    assert found["note_density"] == 2
    assert found["self_similarity"] == 1


def test_chords_gaps_and_foreign_notes() -> None:
    quarter = 96
    events = [(0, quarter, 60), (0, quarter, 64), (3 * quarter, quarter, 61), (3 * quarter, 1, 66)]
    found = measure(quantise(make_midi([(0, False, events)]), 24))
    assert found["empty_beats"] == 0.5
    assert found["note_density"] == 1
    assert 1.4 < found["polyphony"] < 1.6
    assert found["scale_consistency"] == 0.75
    assert isnan(found["groove_consistency"])


def test_drums_have_no_pitch() -> None:
    found = measure(quantise(make_midi([(0, True, [(0, 96, 36), (96, 96, 38)])]), 24))
    assert isnan(found["pitch_class_entropy"])
    assert found["note_density"] == 1


def shuffled(score: Score, generator: np.random.Generator) -> Score:
    """The same notes at each other's times, on any pitch of the piece's range."""
    low, high = int(score.pitch.min()), int(score.pitch.max()) + 1
    onset = generator.integers(0, score.end, size=len(score)).astype(np.int32)
    pitch = generator.integers(low, high, size=len(score)).astype(np.uint8)
    order = np.argsort(onset, kind="stable")
    return replace(score, onset=onset[order], pitch=pitch[order])


def thinned(score: Score) -> Score:
    """Every fourth note."""
    fields = ("onset", "duration", "pitch", "velocity", "program", "is_drum", "track")
    return replace(score, **{name: getattr(score, name)[::4] for name in fields})


Halves = dict[str, list[dict[str, float]]]


@pytest.fixture(scope="module")
def halves() -> Halves:
    """Measures of each half of a corpus, and of one of them shuffled and thinned."""
    scores = []
    for _, midi in corpus_members("nottingham", limit=160):
        try:
            scores.append(from_midi(midi, 24))
        except ScoreError:
            continue
    generator = np.random.default_rng(0)
    generator.shuffle(scores)
    return {
        "one": [measure(score) for score in scores[::2]],
        "other": [measure(score) for score in scores[1::2]],
        "shuffled": [measure(shuffled(score, generator)) for score in scores[::2]],
        "thinned": [measure(thinned(score)) for score in scores[::2]],
    }


def gap(halves: Halves, which: str, name: str) -> Estimate:
    values, reference = (
        np.array([piece[name] for piece in halves[each]]) for each in (which, "other")
    )
    return difference(values, reference)


ORDER = ("pitch_class_entropy", "scale_consistency", "groove_consistency", "self_similarity")
AMOUNT = ("polyphony", "empty_beats", "note_density")
"""How much sounds. A shuffle keeps it, but that it fills rests."""


@pytest.mark.parametrize("name", ORDER + AMOUNT)
def test_half_a_corpus_does_not_differ_from_the_other(halves: Halves, name: str) -> None:
    same = gap(halves, "one", name)
    assert same.low < 0 < same.high
    assert abs(same.value) < 0.35


@pytest.mark.parametrize("name", ORDER)
def test_shuffled_notes_differ_far_in_measures_of_order(halves: Halves, name: str) -> None:
    apart = gap(halves, "shuffled", name)
    assert abs(apart.value) > 5
    assert apart.low * apart.high > 0


@pytest.mark.parametrize("name", AMOUNT)
def test_missing_notes_differ_far_in_measures_of_amount(halves: Halves, name: str) -> None:
    apart = gap(halves, "thinned", name)
    assert abs(apart.value) > 1
    assert apart.low * apart.high > 0


def test_all_measures_are_calibrated(halves: Halves) -> None:
    assert set(halves["one"][0]) == {*ORDER, *AMOUNT}


def test_the_interval_of_no_difference_holds_zero_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        gap = difference(generator.normal(size=16), generator.normal(size=60))
        held += gap.low <= 0 <= gap.high
    assert 0.92 <= held / 400 <= 0.98


def test_means_and_shares() -> None:
    assert mean(np.array([1.0, np.nan, 3.0])).value == 2
    assert share(0, 16).low == 0
    assert share(0, 16).high == pytest.approx(0.206, abs=1e-3)
