"""MusicXML is read as it is written: by ourselves to the same notes, and by others as it sounds."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.music.score import Score
from data.notation.musicxml import write
from data.notation.musicxml_reader import MAX_BYTES, MusicXmlError, read
from tests.data.conftest import melody, same_music, scores


@settings(max_examples=150, deadline=None)
@given(scores())
def test_what_we_write_is_read_as_the_same_music(score: Score) -> None:
    assert same_music(read(write(score).encode(), score.ticks_per_quarter), score)


def packed(text: str, said: str = "score.xml") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        rootfile = f'<container xmlns="x"><rootfiles><rootfile full-path="{said}"/></rootfiles>'
        archive.writestr("META-INF/container.xml", f"{rootfile}</container>")
        archive.writestr("score.xml", text)
    return file.getvalue()


def test_a_packed_file_is_the_file_in_it() -> None:
    score = melody([60, 64, 67, 72])
    assert same_music(read(packed(write(score)), 24), score)


def one_part(*measures: str, listed: str = "") -> bytes:
    """A part in quarters of two divisions."""
    bars = "".join(f"<measure>{measure}</measure>" for measure in measures)
    return (
        f'<score-partwise><part-list><score-part id="P">{listed}</score-part></part-list>'
        f'<part id="P">{bars}</part></score-partwise>'
    ).encode()


def note(name: str, divisions: int, more: str = "") -> str:
    step, octave = name[0], name[-1]
    alter = {"#": 1, "b": -1}.get(name[1:-1], 0)
    return (
        f"<note><pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
        f"<duration>{divisions}</duration>{more}</note>"
    )


START = "<attributes><divisions>2</divisions></attributes>"


def heard(content: bytes) -> list[tuple[float, int, float]]:
    """Onset and length in quarters, and the pitch between them."""
    score = read(content, 24)
    return list(
        zip((score.onset / 24).tolist(), score.pitch.tolist(), (score.duration / 24).tolist())
    )


def test_voices_go_back_and_forward_and_chords_stay() -> None:
    backup, forward = (f"<{x}><duration>6</duration></{x}>" for x in ("backup", "forward"))
    third = note("E4", 2).replace("<note>", "<note><chord/>")
    bar = START + note("C4", 2) + third + note("D4", 6) + backup + forward
    assert heard(one_part(bar + backup + note("G3", 6))) == [
        (0, 60, 1), (0, 64, 1), (1, 55, 3), (1, 62, 3),
    ]  # fmt: skip


def test_ties_join_notes_over_the_bar_and_grace_notes_take_no_time() -> None:
    grace = note("B4", 0, "<grace/>").replace("<duration>0</duration>", "")
    first = START + note("C4", 4) + grace + note("F#4", 4, '<tie type="start"/>')
    second = note("F#4", 2, '<tie type="stop"/>') + note("F#4", 6)
    assert heard(one_part(first, second)) == [(0, 60, 2), (2, 66, 3), (5, 66, 3)]
    drawn = [text.replace("<tie ", "<notations><tied ") for text in (first, second)]
    drawn = [text.replace('"/></note>', '"/></notations></note>') for text in drawn]
    assert "tied" in drawn[1]
    begun = [first, second.replace('<tie type="stop"/>', "")]
    assert heard(one_part(*begun)) == heard(one_part(first, second))
    assert heard(one_part(first, note("G4", 2), note("F#4", 6))) == [
        (0, 60, 2), (2, 66, 2), (4, 67, 1), (5, 66, 3),
    ]  # fmt: skip
    assert heard(one_part(*drawn)) == heard(one_part(first, second))


def test_before_an_upbeat_come_rests() -> None:
    score = read(one_part(START + note("G4", 2), note("C5", 8)), 24)
    assert (score.onset.tolist(), score.bars.tolist()) == ([72, 96], [0, 96, 192])


def test_a_transposing_part_sounds_where_it_sounds() -> None:
    moved = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    stated = START.replace("</attributes>", f"{moved}</attributes>")
    assert heard(one_part(stated + note("D4", 8))) == [(0, 60, 4)]


def test_unpitched_notes_sound_as_their_instrument_and_each_instrument_is_a_track() -> None:
    listed = "".join(
        f'<midi-instrument id="{name}"><midi-channel>10</midi-channel>'
        f"<midi-unpitched>{number}</midi-unpitched></midi-instrument>"
        for name, number in (("kick", 37), ("snare", 39))
    )
    listed += '<midi-instrument id="bass"><midi-program>33</midi-program></midi-instrument>'
    hit = (
        "<note><unpitched><display-step>E</display-step><display-octave>4</display-octave>"
        '</unpitched><duration>4</duration><instrument id="{}"/></note>'
    )
    bar = START + hit.format("snare") + note("C2", 4, '<instrument id="bass"/>')
    score = read(one_part(bar, listed=listed), 24)
    assert score.pitch.tolist() == [38, 36]
    assert score.is_drum.tolist() == [True, False]
    assert (score.program.tolist(), score.track.tolist()) == ([0, 32], [0, 1])


def test_tempo_meter_and_key_are_those_that_are_stated() -> None:
    stated = (
        "<attributes><divisions>2</divisions><key><fifths>-3</fifths><mode>minor</mode></key>"
        "<time><beats>3+2</beats><beat-type>8</beat-type></time></attributes>"
        "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><beat-unit-dot/>"
        "<per-minute>60</per-minute></metronome></direction-type></direction>"
    )
    later = '<direction><sound tempo="100.4"/><offset>1</offset></direction>'
    score = read(one_part(stated + note("C4", 5), later + note("D4", 5)), 24)
    assert score.tempos == ((0, 90), (60 + 12, 100))
    assert (score.meters, score.keys) == (((0, 5, 8),), ((0, -3, True),))


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><score-partwise>&b;'
REFUSED = {
    "no XML": b"MThd",
    "it defines entities": BOMB,
    "it defines entities, which": BOMB.decode().encode("utf-16"),
    "by measures": b"<score-timewise/>",
    "it holds no notes": b"<score-partwise/>",
    "damaged": packed(write(melody([60])))[:-40],
    "does not say where": packed("x", said="gone.xml"),
    "is without a pitch": one_part("<note><duration>1</duration></note>"),
    "is no MIDI pitch": one_part(note("G9", 2, "") .replace("<alter>0", "<alter>9")),
    "4,000,000 quarters": one_part(note("C4", 4_000_000)),
    "it has more than": packed(" " * (MAX_BYTES + 1)),
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_refused_in_one_line_that_says_why(said: str) -> None:
    with pytest.raises(MusicXmlError, match=said) as caught:
        read(REFUSED[said], 24)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_whatever_is_damaged_is_read_or_refused(seed: int, damages: int) -> None:
    rng = np.random.default_rng(seed)
    text = write(melody([60, 62, 64], meters=[(0, 3, 4)], keys=[(0, 2, 0)]))
    words = [*'<>/"-0189.+', "", "note", "duration", "divisions", "9" * 30, "<time/>", "pitch"]
    for _ in range(damages):
        begin = int(rng.integers(len(text)))
        text = text[:begin] + str(rng.choice(words)) + text[begin + int(rng.integers(9)) :]
    with suppress(MusicXmlError):
        score = read(text.encode(), 24)
        assert len(score)
        assert Fraction(score.end, 24) <= 100_000


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_whatever_is_damaged_in_a_packed_file_is_read_or_refused(seed: int, damages: int) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(packed(write(melody([60, 62, 64]))))
    for _ in range(damages):
        content[int(rng.integers(2, len(content)))] = int(rng.integers(256))
    with suppress(MusicXmlError):
        assert len(read(bytes(content[: int(rng.integers(2, 2 * len(content)))]), 24))
