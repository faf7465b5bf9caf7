"""Quantisation follows its stated rules and counts each use of them."""

import pytest
from hypothesis import given, settings

from data.music.files import from_midi, to_midi
from data.music.quantise import quantise
from data.music.score import Score, ScoreError
from tests.data.conftest import Event, make_midi, same_music, scores


def with_notes(*events: Event) -> Score:
    return quantise(make_midi([(0, False, events)]), 24)


def events(score: Score) -> list[Event]:
    return list(zip(score.onset.tolist(), score.duration.tolist(), score.pitch.tolist()))


def test_times_round_to_the_nearest_tick_and_halves_go_up() -> None:
    assert events(with_notes((1, 96, 60), (98, 96, 60))) == [(0, 24, 60), (25, 24, 60)]


def test_a_note_shorter_than_half_a_tick_lasts_one() -> None:
    score = with_notes((0, 1, 60))
    assert events(score) == [(0, 1, 60)]
    assert score.mended == {"zero_length": 1}


def test_a_pitch_struck_again_ends_the_note_before() -> None:
    score = with_notes((0, 192, 60), (96, 192, 60), (96, 48, 64))
    assert events(score) == [(0, 24, 60), (24, 48, 60), (24, 12, 64)]
    assert score.mended == {"overlap": 1}


def test_of_two_notes_on_one_place_the_longer_stays() -> None:
    score = with_notes((0, 48, 60), (0, 192, 60))
    assert events(score) == [(0, 48, 60)]
    assert score.mended == {"doubled": 1}


def test_maps_start_at_the_beginning_and_hold_only_changes() -> None:
    midi = make_midi(
        [(0, False, [(0, 800, 60)])],
        tempos=[(0, 100), (96, 100), (192, 80), (2000, 60)],
        meters=[(384, 3, 4), (672, 3, 4)],
        keys=[(400, 1, 0)],
    )
    score = quantise(midi, 24)
    assert score.tempos == ((0, 100), (48, 80))
    assert score.meters == ((0, 4, 4), (96, 3, 4))
    assert score.keys == ((96, 1, False),)
    assert score.mended == {"key": 1}


def test_a_meter_change_opens_a_bar_and_the_last_bar_holds_the_last_note() -> None:
    midi = make_midi([(0, False, [(0, 800, 60)])], meters=[(0, 4, 4), (480, 3, 4)])
    assert quantise(midi, 24).bars.tolist() == [0, 96, 120, 192, 264]


def test_seconds_follow_the_tempo() -> None:
    midi = make_midi([(0, False, [(0, 384, 60)])], tempos=[(0, 60), (192, 120)])
    assert quantise(midi, 24).seconds == pytest.approx(3)


@settings(max_examples=60)
@given(scores())
def test_a_score_written_as_midi_is_read_as_the_same_score(score: Score) -> None:
    assert same_music(from_midi(to_midi(score), score.ticks_per_quarter), score)


@settings(max_examples=60)
@given(scores())
def test_one_pitch_of_a_track_sounds_once_at_a_time(score: Score) -> None:
    sounding: dict[tuple[int, int], int] = {}
    for track, onset, duration, pitch in sorted(
        zip(*(getattr(score, name).tolist() for name in ("track", "onset", "duration", "pitch")))
    ):
        assert sounding.get((track, pitch), 0) <= onset
        sounding[track, pitch] = onset + duration


@pytest.mark.parametrize("content", [b"", b"RIFF not MIDI", b"MThd\0\0\0\6\0\1\0\0\0\x60"])
def test_other_bytes_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ScoreError) as caught:
        from_midi(content, 24)
    assert "\n" not in str(caught.value)
