"""Quantising: what is kept, and what each documented rule does."""

from __future__ import annotations

import pytest
import symusic
from hypothesis import given

from data.score import Score, ScoreError, bar_lines, from_midi, quantise, to_midi
from tests.data.strategies import scores


def midi(*notes: tuple[int, int, int], ticks_per_quarter: int = 480) -> symusic.Score:
    """One track of (onset, duration, pitch)."""
    score = symusic.Score(ticks_per_quarter)
    track = symusic.Track()
    for onset, duration, pitch in notes:
        track.notes.append(symusic.Note(onset, duration, pitch, 64))
    score.tracks.append(track)
    return score


@given(scores())
def test_a_quantised_score_survives_a_midi_file(score: Score) -> None:
    again = from_midi(to_midi(score), 24)
    assert sorted(zip(again.onset, again.duration, again.pitch)) == sorted(
        zip(score.onset, score.duration, score.pitch)
    )
    assert (again.tempos, again.meters, again.keys) == (score.tempos, score.meters, score.keys)


@given(scores())
def test_bars_cover_the_music_without_gaps(score: Score) -> None:
    lines = score.bars()
    assert lines[0] == 0
    assert lines == sorted(set(lines))
    assert lines[-2] < score.end <= lines[-1]


def test_onsets_and_ends_go_to_the_nearest_tick() -> None:
    score = quantise(midi((9, 240, 60), (251, 229, 62)), 24)
    assert score.onset.tolist() == [0, 13]
    assert score.duration.tolist() == [12, 11]


def test_a_note_too_short_for_the_grid_lasts_one_tick() -> None:
    score = quantise(midi((0, 3, 60)), 24)
    assert score.duration.tolist() == [1]
    assert score.mended == {"zero_length": 1}


def test_of_doubled_notes_the_longest_stays() -> None:
    score = quantise(midi((0, 480, 60), (0, 960, 60)), 24)
    assert score.duration.tolist() == [48]
    assert score.mended == {"doubled": 1}


def test_a_note_ends_where_its_pitch_starts_again() -> None:
    score = quantise(midi((0, 960, 60), (480, 480, 60)), 24)
    assert score.duration.tolist() == [24, 24]
    assert score.mended == {"overlap": 1}


def test_a_meter_change_opens_a_bar() -> None:
    assert list(bar_lines(((0, 4, 4), (100, 3, 4)), 24, 200)) == [0, 96, 100, 172, 244]


def test_seconds_follow_the_tempo_map() -> None:
    score = midi((0, 1920, 60))
    score.tempos.append(symusic.Tempo(0, qpm=60))
    score.tempos.append(symusic.Tempo(960, qpm=120))
    assert quantise(score, 24).seconds == pytest.approx(3.0)


@pytest.mark.parametrize("data", [b"", b"MThd", b"no midi at all"])
def test_bytes_that_are_no_midi_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(ScoreError, match="no MIDI file") as refused:
        from_midi(data, 24)
    assert "\n" not in str(refused.value)


def test_a_file_without_notes_is_refused() -> None:
    with pytest.raises(ScoreError, match="no notes"):
        quantise(midi(), 24)
