"""ABC for people: it looks like a tune book, and reads back to the score that was written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from data.music.files import from_midi
from data.music.quantise import quantise
from data.music.score import Score, ScoreError
from data.notation.abc_text import write
from data.notation.tunes import read
from tests.data.conftest import CORPORA, corpus_members, make_midi, melody, same_music, scores


def music(score: Score) -> str:
    """What stands after the header."""
    lines = write(score).splitlines()
    return "\n".join(line for line in lines if line[:1] != "%" and line[1:2] != ":")


@settings(max_examples=150)
@given(scores())
def test_reading_is_the_inverse_of_writing(score: Score) -> None:
    assert same_music(read(write(score, "A title"), score.ticks_per_quarter), score)


@pytest.mark.parametrize("corpus", CORPORA)
def test_real_music_comes_back(corpus: str) -> None:
    for path, midi in corpus_members(corpus, limit=2):
        try:
            score = from_midi(midi, 24)
        except ScoreError:
            continue
        assert same_music(read(write(score), 24), score), path


def test_the_header_says_what_a_player_needs_to_know() -> None:
    score = melody([67], tempos=[(0, 96)], meters=[(0, 6, 8)], keys=[(0, 1, 0)])
    assert write(score, "A tune\nand more").splitlines() == [
        "%abc-2.1",
        "X:1",
        "T:A tune and more",
        "M:6/8",
        "L:1/8",
        "Q:1/4=96",
        "%%MIDI chordattack 0",
        "K:G clef=treble",
        "%%MIDI program 0",
        "Gzz z3 |]",
    ]


def test_beams_follow_the_beat() -> None:
    assert music(melody([67] * 8)) == "GG GG GG GG |]"
    assert music(melody([67] * 6, meters=[(0, 6, 8)])) == "GGG GGG |]"
    assert music(melody([67] * 8, meters=[(0, 2, 2)])) == "GGGG GGGG |]"


def test_lengths_that_no_note_has_are_tied_at_the_strongest_beat() -> None:
    assert music(melody([67], duration=5 * 48)) == "G4- Gz z2 |]"
    assert music(melody([67, 69], duration=168)) == "G2- G3/2A/2- A3z |]"


def test_a_triplet_is_whole() -> None:
    assert music(melody([60, 62, 64], duration=32)) == "(3CDE z2 z4 |]"
    assert music(melody([60, 62, 64], duration=64)) == "(3C2D2E2 z4 |]"
    assert music(melody([60], duration=64)) == "(3:2:2C2z4 z4 |]"


def test_a_bracket_is_over_two_symbols_where_a_bar_ends_within_it() -> None:
    """As abcjs would not end one over a single symbol."""
    for long, last in [(384, "z2 (3:2:2z/4z/4"), (496, "C2- (3:2:2C/4-C/4")]:
        midi = make_midi(
            [(0, False, [(0, long, 60), (496, 192, 62)])], meters=[(0, 4, 4), (496, 2, 4)]
        )
        tied = "-" * (long > 384)
        assert music(quantise(midi, 24)) == f"C8{tied} | {last} | [M:2/4]D4 |]"


def test_a_rest_of_a_whole_note_is_two_where_the_first_meter_is_shorter() -> None:
    """As abcjs would take it for one of the first meter."""
    for first, rest in [(3, "z4z4"), (4, "z8")]:
        notes = [(0, 96 * first, 60), (96 * first + 384, 384, 62)]
        midi = make_midi([(0, False, notes)], meters=[(0, first, 4), (96 * first, 4, 4)])
        new = "[M:4/4]" * (first == 3)
        assert music(quantise(midi, 24)) == f"C{2 * first} | {new}{rest} | D8 |]"


def test_a_line_has_four_bars_or_more_short_ones() -> None:
    four = "\n".join(["C8 | C8 | C8 | C8 |", "C8 |]"])
    assert music(melody([60] * 5, duration=384)) == four
    short = melody([60] * 7, duration=192, meters=[(0, 2, 4)])
    assert music(short).splitlines()[0] == " | ".join(["C4"] * 6) + " |"


def test_every_voice_fills_every_bar() -> None:
    low = [(384, 384, 40)]
    midi = make_midi([(0, False, [(0, 3 * 384, 60)]), (32, False, low), (0, True, [(0, 96, 36)])])
    written = write(quantise(midi, 24))
    assert "%%score 1 2 3\n" in written
    assert "V:1 clef=treble\nV:2 clef=bass\nV:3 clef=perc\n" in written
    assert "V:2\n%%MIDI program 32\nV:3\n%%MIDI channel 10\n" in written
    assert written.splitlines()[-3:] == [
        "[V:1] C8- | C8- | C8 |]",
        "[V:2] z8 | E,,8 | z8 |]",
        "[V:3] C,,2 z2 z4 | z8 | z8 |]",
    ]


def test_notes_that_overlap_share_a_staff_and_two_hands_have_two() -> None:
    held = [(0, 384, 62), (0, 192, 72), (192, 192, 74)]
    assert "%%score (1 2)\n" in (two := write(quantise(make_midi([(0, False, held)]), 24)))
    # Or abcm2ps makes chords of them.
    assert "I:combinevoices -1\n" in two
    assert write(quantise(make_midi([(0, False, [*held[1:], (168, 216, 62)])]), 24)).endswith(
        "[V:1] c4 d4 |]\n[V:2] x2 x3/2 D/2- D4 |]\n"
    )
    hands = [(0, 384, pitch) for pitch in (40, 47, 72, 76)]
    assert "%%score {1 2}\n" in write(quantise(make_midi([(0, False, hands)]), 24))


PIANO, CELLO = 0, 42


@pytest.mark.parametrize(
    ("program", "pitches", "staves"),
    [
        (PIANO, (36, 48, 55, 64, 72, 76), 2),
        (CELLO, (36, 48, 55, 64, 72, 76), 1),
        (PIANO, (40, 45, 52, 57, 60, 64), 1),
        (PIANO, (57, 60, 64, 72, 76, 84), 1),
    ],
)
def test_two_hands_have_two_staves_where_one_does_not_hold_them(
    program: int, pitches: tuple[int, ...], staves: int
) -> None:
    """A piano's chords, note after note, are in both; those of one hand, and a cello's, are not."""
    notes = [(96 * nth, 96, pitch) for nth, pitch in enumerate(pitches)]
    written = write(quantise(make_midi([(program, False, notes)]), 24))
    assert ("%%score {1 2}\n" in written) == (staves == 2)


def test_a_new_meter_and_key_is_stated_by_every_voice_and_a_tempo_by_the_first() -> None:
    tune = [(0, 960, 60)]
    score = quantise(
        make_midi(
            [(0, False, tune), (0, False, tune)],
            meters=[(384, 3, 4)],
            keys=[(384, 2, 0)],
            tempos=[(0, 90), (480, 60)],
        ),
        24,
    )
    assert write(score).splitlines()[-2:] == [
        "[V:1] C8- | [M:3/4][K:D]=C2- [Q:1/4=60]C4- | =C6 |]",
        "[V:2] C8- | [M:3/4][K:D]=C6- | =C6 |]",
    ]


def test_an_accidental_is_shown_once_in_a_bar_unless_readers_would_differ() -> None:
    assert music(melody([66] * 4, duration=96)) == "^F2 F2 F2 F2 |]"
    in_g_minor = melody([66, 78, 66, 65, 67, 70, 74, 67, 67, 69, 70, 72], duration=96)
    assert music(in_g_minor).startswith("^F2 ^f2 F2 =F2 | G2 _B2 d2 G2 |")
    # After a tie over the bar line some programs have forgotten it.
    assert music(melody([66, 66], duration=480)) == "^F8- | ^F2 ^F6- | ^F4 z4 |]"


def test_no_two_notes_of_a_chord_stand_on_one_line() -> None:
    chord = make_midi([(0, False, [(0, 384, pitch) for pitch in (60, 61, 62)])])
    assert music(quantise(chord, 24)) == "[^B,^CD]8 |]"
