"""What a data set holds is told in words and in a picture; a piece can be seen."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from data import describe, roundtrip
from data.describe import table
from data.describe_pictures import draw_overview, draw_piece
from data.music.files import from_midi
from data.music.score import Score
from data.notation import tunes
from data.overview import overview
from data.roundtrip import round_trip
from data.store.flat import open_split
from data.store.location import Location
from data.store.manifest import read_manifest
from data.store.tables import read_table
from data.tokens.make import load_tokenizer, make_tokenizer
from data.tokens.protocol import Tokenizer
from tests.data.conftest import make_midi, melody

PNG = b"\x89PNG"


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tool: object, *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["tool", *words])
    code = tool.main()  # type: ignore[attr-defined]
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_counts_are_those_of_the_data(made: Path) -> None:
    folder = Location.of(made)
    found = overview(folder, load_tokenizer(made / "tokenizer.json"))
    manifest = read_manifest(made)
    assert found.lengths.sum() == sum(split["tokens"] for split in manifest.splits.values())
    assert found.group_sizes.sum() == len(found.lengths) == found.sampled
    assert found.pitches.sum() == sum(split["notes"] for split in manifest.splits.values())
    assert sum(found.programs.values()) == found.pitches.sum()
    said = table(folder, found)
    assert manifest.fingerprint in said
    assert re.search(r"\bduplicate 1\b", said)
    assert "20 works with several, 2 at most" in said


def test_the_command_draws_what_it_tells(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture = tmp_path / "p.png"
    code, out, _ = run(monkeypatch, capsys, describe, str(made), "--out", str(picture))
    assert code == 0
    assert str(picture) in out
    assert picture.read_bytes().startswith(PNG)


def test_a_piece_is_shown_by_the_beginning_of_its_id(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = read_table(Location.of(next((made / "parts").iterdir()))).to_pylist()[0]
    picture = tmp_path / "p.png"
    words = [str(made), "--piece", row["piece_id"][:12], "--out", str(picture)]
    code, out, _ = run(monkeypatch, capsys, describe, *words)
    assert code == 0
    assert row["abc"] in out
    assert picture.read_bytes().startswith(PNG)


@pytest.mark.parametrize("words", [["{none}"], ["{made}", "--piece", "zzz"]])
def test_what_is_not_there_is_named_in_one_line(
    words: list[str],
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [word.format(none=tmp_path, made=made) for word in words]
    code, _, error = run(monkeypatch, capsys, describe, *filled)
    assert code == 2
    assert error.count("\n") == 1


def test_abc_keeps_all_and_remi_says_what_it_does_not() -> None:
    score = melody([60, 62, 64], duration=15 * 96, tempos=[(0, 97)])
    assert round_trip(score, make_tokenizer("abc", 24)).equal
    trip = round_trip(score, make_tokenizer("remi", 24))
    assert not trip.equal
    assert not trip.maps
    assert trip.kept < trip.notes_in == 3


def test_each_note_is_kept_or_lost_and_none_is_kept_twice() -> None:
    class Forgets:
        """The first note comes back, the second one is another, the third comes once of twice."""

        def encode(self, score: Score) -> np.ndarray:
            return np.zeros(1)

        def decode(self, ids: np.ndarray) -> Score:
            return melody([60, 61, 64])

    score = melody([60, 62, 64, 64])
    score = replace(score, onset=score.onset[[0, 1, 2, 2]])
    trip = round_trip(score, cast("Tokenizer", Forgets()))
    assert trip.came_back.tolist() == [True, False, True, False]
    assert (trip.kept, trip.notes_in, trip.notes_out) == (2, 4, 3)


def test_what_came_back_of_a_file_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    song, picture = tmp_path / "song.mid", tmp_path / "kept.png"
    song.write_bytes(make_midi([(0, False, [(0, 96, 60), (96, 96, 62)])]).dumps_midi())
    assert run(monkeypatch, capsys, roundtrip, str(song), "--picture", str(picture))[0] == 0
    assert picture.read_bytes().startswith(PNG)
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, roundtrip, str(song), str(song), "--picture", str(picture))
    assert "--picture is of one file, found 2" in capsys.readouterr().err


def test_the_round_trips_of_files_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.mid", tmp_path / "bad.mid"
    good.write_bytes(make_midi([(0, False, [(0, 96, 60), (96, 96, 62)])]).dumps_midi())
    bad.write_bytes(b"RIFF")
    assert len(from_midi(good.read_bytes(), 24)) == 2
    code, out, _ = run(monkeypatch, capsys, roundtrip, str(good))
    assert code == 0
    assert [line.split()[1:4] for line in out.splitlines()[1:]] == [
        [name, "2", "2"] for name in ("abc", "remi", "tsd")
    ]
    code, out, _ = run(monkeypatch, capsys, roundtrip, str(bad), "--tokenizers", "abc")
    assert code == 1
    assert "no MIDI file" in out
    code, _, error = run(monkeypatch, capsys, roundtrip, str(tmp_path / "gone.mid"))
    assert code == 2
    assert error.count("\n") == 1


def test_files_are_written_as_abc_and_none_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written, midis = tmp_path / "abc", []
    for folder, pitch in (("one", 60), ("two", 62)):
        (tmp_path / folder).mkdir()
        midis.append(tmp_path / folder / "song.mid")
        make_midi([(0, False, [(0, 96, pitch)])]).dump_midi(midis[-1])
    words = [*map(str, midis), "--tokenizers", "abc", "--abc", str(written)]
    assert run(monkeypatch, capsys, roundtrip, *words)[0] == 0
    read = {file.name: tunes.read(file.read_text(), 24) for file in written.iterdir()}
    assert {name: score.pitch.tolist() for name, score in read.items()} == {
        "song.abc": [60],
        "song-2.abc": [62],
    }


def test_names_are_drawn_as_text(made: Path, tmp_path: Path) -> None:
    """Between two dollars, Matplotlib would read mathematics, and fail."""
    folder = Location.of(made)
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    score = tokenizer.decode(open_split(made, "test").tokens[: open_split(made, "test").starts[1]])
    draw_piece(score, r"$\frac$.mid", tmp_path / "piece.png")
    manifest = replace(read_manifest(folder), source=r"my $\frac$", rejected={r"$\frac$": 1})
    draw_overview(overview(folder, tokenizer), manifest, tmp_path / "all.png")


def test_a_link_in_place_of_the_picture_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a year of work")
    picture = tmp_path / "piece.png"
    picture.symlink_to(tmp_path / "mine")
    draw_piece(melody([60, 62]), "a", picture)
    assert (tmp_path / "mine").read_text() == "a year of work"
    assert picture.read_bytes().startswith(PNG)
