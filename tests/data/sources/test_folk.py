"""Folk tunes are played as they are written, with bar lines where the tune has them."""

import subprocess
import sys

import pytest

from data.abc.tokenizer import AbcTokenizer
from data.music.files import from_midi
from data.sources.folk import shards, to_midi, tunes
from data.sources.members import Refused


def played(music: str, header: str = "") -> str:
    """What we write of a tune in G, 4/4, after its header."""
    midi = to_midi(f"X:1\nT:a tune\n{header}M:4/4\nL:1/8\nK:G\n{music}\n")
    assert isinstance(midi, bytes)
    score = from_midi(midi, 24)
    tokenizer = AbcTokenizer()
    return tokenizer.to_text(tokenizer.encode(score)).split("[K:G]")[1].removesuffix("\n")


def test_a_tune_comes_out_as_it_went_in() -> None:
    assert played("GABc dedB|G2B2d4|") == "GABcdedB|G2B2d4|"


def test_a_pickup_ends_where_the_first_bar_begins() -> None:
    assert played("d2|GABc dedB|") == "z6d2|GABcdedB|"


def test_each_section_is_taken_once() -> None:
    assert played("|:G4 B4:|") == "G4B4|"
    assert played("|:G8|1 A8:|2 B8:||:c8::d8:|") == "G8|A8|B8|c8|d8|"
    assert played("|:G8|[1 A8:|[2 B8||") == "G8|A8|B8|"


@pytest.mark.parametrize("ornament", ['"Em7"', "{ga}", "~", "T", ".", "!trill!"])
def test_ornaments_and_chord_names_leave_the_notes_alone(ornament: str) -> None:
    assert played(f"{ornament}G4 B4|") == "G4B4|"


def test_a_dance_is_not_swung_for_its_name() -> None:
    assert played("GABc dedB|", header="R:hornpipe\n") == "GABcdedB|"


def test_dots_are_three_to_one_and_chords_start_together() -> None:
    assert played("C>E [CEG]2 C<E [CE]2|") == "C3/2E/2[CEG]2C/2E3/2[CE]2|"


def test_a_comment_in_the_header_does_not_end_the_tune() -> None:
    assert played("G8|", header="%% a b c\n") == "G8|"


def test_what_is_no_tune_is_refused_with_what_abc2midi_says_and_costs_no_other() -> None:
    good = "X:7\nM:4/4\nL:1/8\nK:G\nG8|\n"
    made = [to_midi(tune) for tune in (good, "X:1\nM:4/4\nno key, no music\n", good)]
    assert made[0] == made[2] != made[1]
    assert isinstance(made[0], bytes)
    assert isinstance(made[1], Refused)
    assert "No valid K: field" in made[1].detail


@pytest.mark.parametrize(
    "name", ["ryansMammoth/MyLoveIsFarAwayReel/0000", "oneills1850/0550-0625/0047"]
)
def test_a_tune_sounds_the_same_whatever_was_played_before_it(name: str) -> None:
    """Of 12,978, these came out otherwise when one abc2midi played a whole shard."""
    text = dict(tunes())[name]
    (shard,) = [each for each in shards() if (name, text) in getattr(each, "tunes", ())]
    assert dict(shard.read())[f"{name}.mid"] == to_midi(text)


def test_all_tunes_are_found_without_importing_music21() -> None:
    code = (
        "import sys; from data.sources.folk import tunes; "
        "print(len(tunes()), 'music21' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["12978", "False"]


def test_names_are_unique() -> None:
    names = [name for name, _ in tunes()]
    assert len(set(names)) == len(names)
