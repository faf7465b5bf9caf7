"""Rolls, scores and sound say what the score says."""

from __future__ import annotations

import io
import wave
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from data.music.quantise import quantise
from tests.data.conftest import make_midi, melody
from trainers.samples.audio import RATE, note_list, render, to_wav
from trainers.samples.engraving import MAX_BARS, MAX_TRACKS, engrave
from trainers.samples.pictures import roll


def test_the_roll_draws_each_note_once() -> None:
    drawn = ET.fromstring(roll(melody([60, 64, 67])))
    path = drawn[-1].attrib["d"]
    assert path.count("M") == 3
    assert path.startswith("M0 ")


def test_notes_come_at_the_seconds_of_their_tempo() -> None:
    score = melody([60, 62, 64, 65], duration=96, tempos=[(0, 60), (192, 120)])
    expected = np.array([[0, 1], [1, 1], [2, 0.5], [2.5, 0.5]])
    np.testing.assert_allclose(note_list(score)[:, :2], expected)


def test_a_sounds_at_440() -> None:
    sound = render(melody([69], duration=384))[: RATE // 2]
    assert np.argmax(np.abs(np.fft.rfft(sound))) * 2 == 440
    assert np.abs(sound).max() <= 1


def test_the_wav_is_one() -> None:
    with wave.open(io.BytesIO(to_wav(melody([60, 62])))) as sound:
        assert sound.getframerate() == RATE
        assert sound.getnframes() > RATE


def test_drums_sound() -> None:
    assert np.abs(render(quantise(make_midi([(0, True, [(0, 96, 38)])]), 24))).max() > 0.1


def test_the_first_bars_are_engraved_and_what_cannot_be_is_not() -> None:
    pytest.importorskip("verovio")
    assert engrave(melody([60, 64, 67])).count('class="note"') == 3
    assert "font-face" not in engrave(melody([60], tempos=[(0, 90)]))
    quarters = 4 * MAX_BARS
    assert engrave(melody([60] * (quarters + 3), duration=96)).count('class="note"') == quarters
    late = make_midi([(0, False, [(96 * quarters, 96, 60)])])
    assert engrave(quantise(late, 24)) == ""
    tracks = [(program, False, [(0, 96, 60)]) for program in range(MAX_TRACKS + 1)]
    assert engrave(quantise(make_midi(tracks), 24)) == ""
