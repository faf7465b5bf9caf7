"""Corpora of today's sizes, on small files of their layouts: none of them is here itself."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from data.notation.musicxml import write as musicxml
from data.sources import named
from data.sources.corpora import CORPORA
from data.sources.facts import facts_by
from data.sources.licences import KNOWN
from data.sources.members import Refused
from data.sources.named import NAMED, known_facts, known_licence, open_source
from data.store.location import Location
from tests.data.conftest import melody
from tests.data.sources.test_containers import write_tar

MD5 = "0211bbf6adf0cf10d42117e5929929a4"

PDMX_HEADER = "path,metadata,mxl,license,license_conflict,genres,title,composer_name"
PDMX_SUBSETS = "subset:all,subset:no_license_conflict"


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files do not have the sums of the corpora."""
    monkeypatch.setattr("data.sources.download._checked", lambda found, *_, **__: found)


def read(source: str, downloads: Path, mirror: Path) -> dict[str, bytes | Refused]:
    found, _ = open_source(source, Location.of(downloads), str(mirror))
    return dict(pair for shard in found for pair in shard.read())


def pdmx(folder: Path) -> None:
    folder.mkdir()
    score = musicxml(melody([60, 64, 67])).encode()
    write_tar(folder / "mxl.tar.gz", {f"mxl/1/{name}.musicxml": score for name in "abc"})
    rows = [
        "./data/1/a.json,NA,./mxl/1/a.musicxml,publicdomain,False,classical,Air,J. S. Bach,"
        "True,True",
        "./data/1/b.json,NA,./mxl/1/b.musicxml,cc-zero,True,NA,Ave Maria,NA,True,False",
        "./data/1/c.json,NA,NA,cc-zero,False,NA,Lost,NA,True,True",
        "./data/1/d.json,NA,NA,cc-zero,False,NA,Lost as well,NA,True,True",
    ]
    text = "\n".join([f"{PDMX_HEADER},{PDMX_SUBSETS}", *rows])
    (folder / "PDMX.csv").write_text(f"{text}\n")


def test_of_pdmx_files_are_taken_whose_licence_is_without_conflict(
    tmp_path: Path, unchecked: None
) -> None:
    pdmx(tmp_path / "mirror")
    found = read("pdmx", tmp_path / "downloads", tmp_path / "mirror")
    assert isinstance(found["mxl/1/a.musicxml"], bytes)
    said = Refused("subset", "PDMX.csv does not count it to no_license_conflict")
    assert found["mxl/1/b.musicxml"] == found["mxl/1/c.musicxml"] == said
    known = known_facts("pdmx", Location.of(tmp_path / "downloads"), None)
    assert list(map(facts_by(known), sorted(found))) == [
        ("publicdomain", "classical", "J. S. Bach", ""),
        ("cc-zero", "", "", ""),
        ("", "", "", ""),
    ]
    everything = read("pdmx-all", tmp_path / "downloads", tmp_path / "mirror")
    assert all(isinstance(each, bytes) for each in everything.values())


def test_stretches_of_a_recording_of_aria_have_what_is_known_of_it(tmp_path: Path) -> None:
    said = {
        "123": {
            "metadata": {"genre": "classical", "composer": "chopin", "opus": 9, "piece_number": 2},
            "audio_scores": {"0": 0.99, "1": 0.98},
        },
        "7": {"metadata": {"composer": "satie", "opus": None}, "audio_scores": {"0": 0.9}},
    }
    top = "aria-midi-v1-pruned-ext"
    names = ["data/aa/000123_0.mid", "data/aa/000123_1.mid", "data/ab/7_0.mid", "data/ab/8_0.mid"]
    files = {f"{top}/metadata.json": json.dumps(said).encode()}
    files |= {f"{top}/{name}": b"1" for name in names}
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    write_tar(mirror / f"{top}.tar.gz", files)
    found = read("aria", tmp_path / "downloads", mirror)
    assert sorted(found) == [f"{top}/{name}" for name in names]
    known = known_facts("aria", Location.of(tmp_path / "downloads"), None)
    assert list(map(facts_by(known), sorted(found))) == [
        ("", "classical", "chopin", "9 2"),
        ("", "classical", "chopin", "9 2"),
        ("", "", "satie", ""),
        ("", "", "", ""),
    ]


def test_gigamidi_is_read_from_the_folder_that_its_user_has(tmp_path: Path) -> None:
    place = tmp_path / "v2.0.0" / "train"
    place.mkdir(parents=True)
    rows = {"md5": [MD5], "music": [b"1"], "music_styles_curated": [["rock", "pop"]]}
    pq.write_table(pa.table(rows), place / "part.parquet")
    assert read("gigamidi", tmp_path / "downloads", tmp_path) == {f"{MD5}.mid": b"1"}
    known = known_facts("gigamidi", Location.of(tmp_path / "downloads"), str(tmp_path))
    assert list(map(facts_by(known), [f"{MD5}.mid", "other.mid"])) == [
        ("", "rock, pop", "", ""),
        ("", "", "", ""),
    ]


def test_and_as_midi_files_without_genres(tmp_path: Path) -> None:
    (tmp_path / f"{MD5}.mid").write_bytes(b"1")
    assert read("gigamidi", tmp_path / "downloads", tmp_path) == {f"{MD5}.mid": b"1"}
    known = known_facts("gigamidi", Location.of(tmp_path / "downloads"), str(tmp_path))
    assert list(map(facts_by(known), [f"{MD5}.mid"])) == [("", "", "", "")]


def test_what_is_given_after_a_login_is_refused_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"huggingface\.co/.*GigaMIDI: take .* as --mirror$"
    ) as told:
        open_source("gigamidi", Location.of(tmp_path), None)
    assert "\n" not in str(told.value)


def test_the_licence_is_told_before_a_download_and_not_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*_: object) -> None:
        raise DataError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(named, "fetch", gone)
        with pytest.raises(DataError, match="no network"):
            open_source("aria", Location.of(tmp_path), None)
    said = capsys.readouterr().out
    assert said.startswith("Aria-MIDI v1, piano transcriptions, pruned (aria-midi-v1-pruned-ext")
    assert "5.4 GB): CC BY-NC-SA 4.0" in said
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    write_tar(mirror / "aria-midi-v1-pruned-ext.tar.gz", {"a.mid": b"1"})
    read("aria", tmp_path / "downloads", mirror)
    known = known_facts("aria", Location.of(tmp_path / "downloads"), None)
    with pytest.raises(DataError, match=r"has no /metadata\.json"):
        list(map(facts_by(known), ["a.mid"]))
    capsys.readouterr()
    read("aria", tmp_path / "downloads", mirror)
    assert capsys.readouterr().out == ""


def test_every_corpus_has_a_licence_that_the_hub_knows_and_something_to_take() -> None:
    assert {known_licence(name).word for name in NAMED} <= set(KNOWN)
    assert all(corpus.archive or corpus.login for corpus in CORPORA.values())
