"""The folk source: every tune of the music21 package, as it is written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from data import abc, folk
from data.score import from_midi


def text(tune: str) -> str:
    return "".join(abc.write(from_midi(folk.to_midi(tune), 24))).removeprefix(abc.HEADER).strip()


def test_all_tunes_are_found_without_importing_music21() -> None:
    code = "import sys; from data import folk; print(len(folk.tunes()), 'music21' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["12978", "False"]


def test_names_are_unique() -> None:
    names = [name for name, _ in folk.tunes()]
    assert len(set(names)) == len(names)


def test_an_upbeat_ends_at_the_bar_line() -> None:
    assert text("X:1\nM:6/8\nL:1/8\nK:G\nD|GAB c2d|e6|\n") == "[M:6/8][K:G]z5D|GABc2d|e6|"


def test_a_tune_without_upbeat_starts_at_once() -> None:
    assert text("X:1\nM:3/4\nL:1/4\nK:F\nFGA|B3|\n") == "[M:3/4][K:F]F2G2A2|B6|"


def test_ornaments_and_chord_names_are_not_played() -> None:
    ornamented = 'X:1\nM:2/4\nL:1/8\nK:D\n"D"TA2 {g}.f~e|"G"d4|\n'
    assert text(ornamented) == text("X:1\nM:2/4\nL:1/8\nK:D\nA2 fe|d4|\n")


def test_chords_start_together_and_dots_are_three_to_one() -> None:
    assert text("X:1\nM:2/4\nL:1/8\nK:C\nC>E [CEG]2|\n") == "[M:2/4][K:C]C3/2E/2[CEG]2|"


def test_what_is_no_tune_is_refused() -> None:
    with pytest.raises(ValueError, match="no key"):
        folk.to_midi("X:1\nM:4/4\nno key, no music\n")
