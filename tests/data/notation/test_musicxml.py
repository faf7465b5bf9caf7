"""MusicXML says what the score says, in bars that are full."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from data.music.quantise import quantise
from data.music.score import Score
from data.notation.musicxml import TYPES, write
from tests.data.conftest import make_midi, melody, scores


def sounds(score: Score) -> list[tuple[int, int, int]]:
    """(part, onset in ticks, pitch) of all notes of the file that begin, as its reader counts."""
    found = []
    for part, written in enumerate(ET.fromstring(write(score)).iter("part")):
        start = 0
        for measure in written.iter("measure"):
            at, onset, end = start, start, start
            for child in measure:
                length = int(child.findtext("duration", "0"))
                if child.tag == "backup":
                    at -= length
                elif child.tag == "note":
                    onset = onset if child.find("chord") is not None else at
                    at = onset + length
                    end = max(end, at)
                    tied = "stop" in [tie.get("type") for tie in child.iter("tie")]
                    pitch = child.find("pitch")
                    if pitch is not None and not tied:
                        found.append((part, onset, midi_pitch(pitch)))
            start = end
    return sorted(found)


def quarters(number: float | Fraction) -> Fraction:
    return Fraction(number).limit_denominator(24)


def midi_pitch(pitch: ET.Element) -> int:
    step = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[pitch.findtext("step", "")]
    octave, alter = int(pitch.findtext("octave", "")), int(pitch.findtext("alter", "0"))
    return 12 * (octave + 1) + step + alter


@settings(max_examples=60)
@given(scores())
def test_all_notes_begin_where_they_do_in_the_score(score: Score) -> None:
    track = np.unique(score.track, return_inverse=True)[1]
    wanted = zip(track.tolist(), score.onset.tolist(), score.pitch.tolist())
    assert sounds(score) == sorted(wanted)


@settings(max_examples=60)
@given(scores())
def test_what_is_written_fills_every_bar_in_every_voice(score: Score) -> None:
    """Types, dots and triplets, as they are drawn; durations are what is played."""
    bars = np.diff(score.bars).tolist()
    for part in ET.fromstring(write(score)).iter("part"):
        for measure, ticks in zip(part.iter("measure"), bars, strict=True):
            written = defaultdict[str, Fraction](Fraction)
            for note in measure.iter("note"):
                if note.find("chord") is None:
                    written[note.findtext("voice", "")] += drawn(note)
            assert set(written.values()) == {Fraction(ticks, score.ticks_per_quarter)}


def drawn(note: ET.Element) -> Fraction:
    """Quarters."""
    plain = 4 * next(value for value, name in TYPES.items() if name == note.findtext("type"))
    dotted = plain * (Fraction(3, 2) if note.find("dot") is not None else 1)
    return dotted * (Fraction(2, 3) if note.find("time-modification") is not None else 1)


@settings(max_examples=60)
@given(scores())
def test_what_begins_a_beam_ends_it_in_its_voice_and_bar(score: Score) -> None:
    for measure in ET.fromstring(write(score)).iter("measure"):
        by_voice = defaultdict(list)
        for note in measure.iter("note"):
            by_voice[note.findtext("voice")].append(note)
        for notes in by_voice.values():
            opened = 0
            for note in notes:
                beams = [beam.text for beam in note.iter("beam")]
                assert not beams or len(beams) == flags(note)
                opened += (beams[:1] == ["begin"]) - (beams[:1] == ["end"])
                assert opened in (0, 1)
                # Nothing without a beam stands under one, but for the notes of its chords.
                assert beams or not opened or note.find("chord") is not None
            assert opened == 0


def flags(note: ET.Element) -> int:
    names = ["quarter", "eighth", "16th", "32nd", "64th", "128th"]
    return names.index(note.findtext("type", ""))


def test_eighths_are_beamed_by_beats_and_hooks_stand_within_them() -> None:
    notes = [(0, 48, 60), (48, 48, 62), (96, 72, 64), (168, 24, 65), (192, 192, 67)]
    score = quantise(make_midi([(0, False, notes)]), 24)
    found = [
        [beam.text for beam in note.iter("beam")]
        for note in ET.fromstring(write(score)).iter("note")
    ]
    assert found[:5] == [["begin"], ["end"], ["begin"], ["end", "backward hook"], []]


@pytest.mark.slow
def test_music21_reads_it() -> None:
    music21 = pytest.importorskip("music21")
    held = [(0, 384, 48), (0, 192, 72), (192, 64, 74), (256, 64, 76), (320, 448, 77)]
    midi = make_midi([(24, False, held), (0, True, [(0, 96, 36)])], keys=[(0, -1, 0)])
    score = quantise(midi, 24)
    stream = music21.converter.parse(write(score), format="musicxml")
    heard = sorted(
        (quarters(note.getOffsetInHierarchy(stream)), pitch.midi, quarters(note.quarterLength))
        for part in stream.parts
        for note in part.stripTies().recurse().notes
        for pitch in note.pitches
    )
    columns = zip(score.onset.tolist(), score.pitch.tolist(), score.duration.tolist())
    assert heard == sorted(
        (Fraction(onset, 24), pitch, Fraction(length, 24)) for onset, pitch, length in columns
    )


def test_title_and_instrument_are_said() -> None:
    text = write(melody([60]), "A & B")
    assert "<work-title>A &amp; B</work-title>" in text
    assert "<midi-program>1</midi-program>" in text
