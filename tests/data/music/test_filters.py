"""Each filter leaves out what its name says, and nothing unless it is on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from data.music.filters import RULES, Filters, beyond_piano, repetition, silence
from data.music.quantise import quantise
from data.music.score import Score
from tests.data.conftest import make_midi, melody, scores

BAR = 4 * 96


def bars_of(*pitches: int) -> Score:
    """A bar of two half notes each."""
    events = [
        (BAR * at + half, BAR // 2, pitch) for at, pitch in enumerate(pitches) for half in (0, 192)
    ]
    return quantise(make_midi([(0, False, events)]), 24)


@settings(max_examples=50)
@given(scores())
def test_nothing_is_left_out_unless_asked(score: Score) -> None:
    assert Filters().met(score) is None


@pytest.mark.parametrize(
    ("name", "threshold", "left_out", "kept"),
    [
        ("too_short", 5, melody([60] * 4), melody([60] * 5)),
        ("too_long", 2.0, melody([60] * 9), melody([60] * 8)),
        ("too_dense", 4.0, melody([60] * 8, duration=32), melody([60] * 8, duration=48)),
        ("silent", 0.5, quantise(make_midi([(0, False, [(960, 96, 60)])]), 24), melody([60])),
        ("repetition", 0.8, bars_of(*[60] * 10), bars_of(*range(60, 70))),
        ("unplayable", 0.1, melody([10, 60, 62]), melody([21, 60, 108])),
    ],
)
def test_each_filter_by_name(name: str, threshold: float, left_out: Score, kept: Score) -> None:
    options: dict[str, Any] = {name: threshold}
    filters = Filters(**options)
    met = filters.met(left_out)
    assert met is not None
    assert met[0] == name
    assert filters.met(kept) is None


def test_every_filter_is_explained() -> None:
    assert set(RULES) == set(vars(Filters()))


def test_silence_counts_what_no_track_fills() -> None:
    midi = make_midi([(0, False, [(0, 96, 60), (288, 96, 60)]), (0, False, [(96, 96, 40)])])
    assert silence(quantise(midi, 24)) == pytest.approx(0.25)


def test_a_bar_that_returns_now_and_then_is_no_endless_repetition() -> None:
    assert repetition(bars_of(*[60, 62, 64, 60, 65, 67, 60, 69])) == pytest.approx(3 / 8)
    assert repetition(bars_of(60, 60)) == 0


def test_drums_are_played_beyond_the_piano() -> None:
    assert beyond_piano(quantise(make_midi([(0, True, [(0, 96, 5)])]), 24)) == 0


@pytest.mark.parametrize("value", ["many", True, -1])
def test_a_threshold_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="too_short"):
        Filters(too_short=value)  # type: ignore[arg-type]
