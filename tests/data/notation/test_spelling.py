"""Notes are spelled as an editor would, whether or not the file says in which key they are."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from data.abc.dialect import LETTERS
from data.music.files import from_midi
from data.music.quantise import quantise
from data.music.score import Score
from data.notation import abc_text, musicxml
from data.notation.spelling import Names
from data.notation.tunes import read
from data.sources import folk
from tests.data.conftest import make_midi, melody

G_MINOR = [67, 69, 70, 72, 74, 75, 74, 72, 70, 69, 67, 66, 67, 70, 69, 67]
SIGNS = {-1: "b", 0: "", 1: "#"}


def spelled(score: Score) -> str:
    names, places = Names(score), zip(score.onset.tolist(), score.pitch.tolist())
    found = [names.of(onset, pitch, (0, False)) for onset, pitch in places]
    return " ".join(LETTERS[letter] + SIGNS[alteration] for letter, alteration, _ in found)


@pytest.mark.parametrize("keys", [[], [(0, 0, 0)], [(0, -2, 1)]])
def test_g_minor_has_b_flat_and_f_sharp_whatever_key_is_stated(keys: list) -> None:
    assert spelled(melody(G_MINOR, keys=keys)) == "G A Bb C D Eb D C Bb A G F# G Bb A G"


def test_score_and_text_are_spelled_so_and_keep_the_key_that_is_stated() -> None:
    score = melody(G_MINOR)
    text = abc_text.write(score)
    assert "_B" in text
    assert "^A" not in text
    assert read(text, 24).keys == score.keys == ()
    written = musicxml.write(score)
    assert written.count("<step>B</step>") == 3
    assert "<step>A</step>\n          <alter>" not in written


@pytest.mark.parametrize(("sharps", "first"), [(6, "F#"), (-6, "Gb")])
def test_a_stated_key_says_which_of_two_names_is_meant(sharps: int, first: str) -> None:
    scale = [66, 68, 70, 71, 73, 75, 77, 78]
    assert spelled(melody(scale, keys=[(0, sharps, 0)])).split()[0] == first


@pytest.mark.parametrize("up", [-1, 1, 2, 3, 5])
def test_a_piece_that_changes_key_is_spelled_in_each(up: int) -> None:
    """In both, each letter stands once in a scale."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    for tonic in range(60, 72):
        both = np.concatenate([np.tile(tonic + scale, 9), np.tile(tonic + up + scale, 9)])
        names = spelled(melody(both.tolist())).split()
        for first in (0, 7, 7 * 16, 7 * 17):
            assert len({name[0] for name in names[first : first + 7]}) == 7


def test_drums_and_a_score_of_drums_alone_are_spelled_by_the_key() -> None:
    score = quantise(make_midi([(0, True, [(0, 96, 42)])]), 24)
    assert Names(score).of(0, 42, (-2, True))[:2] == (LETTERS.index("F"), 1)


@pytest.mark.slow
def test_tunes_are_spelled_as_their_editors_did() -> None:
    """Without the key that they state: by keys alone, with none, 3.5 % of the letters differ."""
    same = notes = 0
    for _, tune in folk.tunes()[::40]:
        made, wanted = folk.to_midi(tune), editors_letters(tune)
        if isinstance(made, bytes) and len(score := from_midi(made, 24)) == len(wanted):
            found = spelled(replace(score, keys=())).split()
            same += sum(name[0] == letter for name, letter in zip(found, wanted))
            notes += len(wanted)
    assert notes > 10_000
    assert same > 0.999 * notes


def editors_letters(tune: str) -> str:
    """Of the notes in order; "" for a tune with ties or chords, whose notes are other than these.

    Repeats are not played, so each is read once.
    """
    music = re.sub(r"^(?:[A-Za-z]:|%).*$|%.*$", "", tune, flags=re.MULTILINE)
    music = re.sub(r'"[^"]*"|\{[^}]*\}|![^!\n]*!|\[\d', "", music)
    return "" if re.search(r"-|\[", music) else "".join(re.findall("[A-Ga-g]", music)).upper()
