"""ABC as people write it becomes the score that they would play, each section once."""

from __future__ import annotations

import pytest

from data.abc.dialect import AbcError
from data.music.score import Score
from data.notation.tunes import read, tunes


def tune(music: str, *, head: str = "M:4/4\nL:1/8", key: str = "C") -> Score:
    return read(f"X:1\nT:A tune\n{head}\nK:{key}\n{music}\n", 24)


def notes(score: Score) -> list[tuple[int, int]]:
    """(onset in eighths, pitch)"""
    return [
        (onset // 12, pitch) for onset, pitch in zip(score.onset.tolist(), score.pitch.tolist())
    ]


def pitches(music: str, key: str = "C") -> list[int]:
    return tune(music, key=key).pitch.tolist()


def test_sections_and_endings_are_read_once() -> None:
    assert pitches("|:C8|1 D8:|2 E8||[1 F8:|[2 G8|]") == [60, 62, 64, 65, 67]


def test_what_only_adorns_is_passed_over() -> None:
    music = '"Am"!trill!{cd}~A2 (.B2 uTc2) "^slow"d2 y|\nw: one two three four'
    assert pitches(music) == [69, 71, 72, 74]


def test_an_upbeat_ends_the_bar_before_the_first() -> None:
    assert notes(tune("G|C8|")) == [(7, 67), (8, 60)]


@pytest.mark.parametrize(
    ("music", "lengths"),
    [
        ("A>B A<B", [18, 6, 6, 18]),
        ("A>>B", [21, 3]),
        ("(3ABc (3:2:2A2B", [8, 8, 8, 16, 8]),
        ("A/ A// A3/2 A/4 A2", [6, 3, 18, 3, 24]),
        ("[A2c2] [Ac]2", [24, 24, 24, 24]),
        ("A2-|A2-A", [60]),
    ],
)
def test_lengths(music: str, lengths: list[int]) -> None:
    assert tune(f"z8|{music}|").duration.tolist() == lengths


@pytest.mark.parametrize(
    ("key", "pitch"),
    [("C", 65), ("D", 66), ("Bm", 66), ("A dor", 66), ("E dorian", 66), ("HP", 66), ("C ^f", 66)],
)
def test_keys(key: str, pitch: int) -> None:
    assert pitches("F", key)[0] == pitch


def test_an_accidental_holds_to_the_end_of_the_bar_in_all_octaves() -> None:
    assert pitches("^FfF|F^F-|F") == [66, 78, 66, 65, 66]


@pytest.mark.parametrize(
    ("tempo", "quarters"), [("1/4=90", 90), ('"Allegro" 3/8=80', 120), ("100", 50), ("C3=40", 60)]
)
def test_tempos(tempo: str, quarters: int) -> None:
    assert tune("C", head=f"M:6/8\nL:1/8\nQ:{tempo}").tempos == ((0, quarters),)


def test_voices_are_tracks_unless_they_share_a_staff() -> None:
    voices = "V:1\nc8|\nV:2\nE8|\n[V:3] C8|"
    assert tune(voices).track.tolist() == [0, 1, 2]
    assert tune(voices, head="%%score 1 (2 3)\nM:4/4\nL:1/8").track.tolist() == [0, 1, 1]


def test_an_overlay_begins_at_the_bar_line() -> None:
    assert sorted(notes(tune("G8|c8 & E8|"))) == [(0, 67), (8, 64), (8, 72)]


def test_a_book_has_many_tunes_with_what_stands_before_the_first() -> None:
    book = "A book.\nM:3/4\nL:1/4\n\nX:1\nK:G\nF3|\n\nX:2\nK:C\nF3|\n"
    found = [read(one, 24) for one in tunes(book)]
    assert [score.pitch.tolist() for score in found] == [[66], [65]]
    assert {score.meters for score in found} == {((0, 3, 4),)}


@pytest.mark.parametrize(
    ("music", "message"),
    [
        ("m:~n2 = n/2o/2n/2\nC8|", "line 6: a macro"),
        ("C8|\nC ? D", "line 7: found '\\? D'"),
        ("^/F", "microtone"),
        ("z8|", "no notes"),
        ("[K:H]C", "expected a key"),
        ("[M:3/5]C", "expected a meter"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(music: str, message: str) -> None:
    with pytest.raises(AbcError, match=message):
        tune(music)
