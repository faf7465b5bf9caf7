"""Rolls, scores and sound say what the score says."""

from __future__ import annotations

import io
import wave
import xml.etree.ElementTree as ET

import numpy as np
from hypothesis import given, settings

from data.music.quantise import quantise
from data.music.score import Score
from tests.data.conftest import make_midi, melody, scores
from trainers.samples.audio import RATE, note_list, render, to_wav
from trainers.samples.engraving import mei
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


@settings(max_examples=40)
@given(scores())
def test_bars_are_full_in_the_engraving(score: Score) -> None:
    """Written lengths, tuplets taken into account, add up to the bar in every layer."""
    space = "{http://www.music-encoding.org/ns/mei}"
    drawn = ET.fromstring(mei(score))
    bars = np.diff(score.bars) / score.ticks_per_quarter
    for measure, quarters in zip(drawn.iter(f"{space}measure"), bars):
        for layer in measure.iter(f"{space}layer"):
            if layer.find(f"{space}mRest") is None:
                assert abs(_quarters(layer, space) - quarters) < 1e-6


def _quarters(parent: ET.Element, space: str) -> float:
    total = 0.0
    for child in parent:
        if "dur" in child.attrib:
            name, dots = child.attrib["dur"], int(child.attrib.get("dots", 0))
            plain = 8.0 if name == "breve" else 4 / int(name)
            total += plain * (2 - 0.5**dots)
        elif child.tag == f"{space}tuplet":
            total += _quarters(child, space) * 2 / 3
        else:
            total += _quarters(child, space)
    return total
