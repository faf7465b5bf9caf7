"""The card of a data set is read by `datasets` and by people, and its splits by ids alone."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from data import describe
from data.card import FENCE, card, corpus, licence_of
from data.errors import DataError
from data.held_out import HELD_OUT, held_out, read_splits, splits_of
from data.sources.corpora import CORPORA
from data.sources.licences import KNOWN, UNKNOWN
from data.sources.named import NAMED, known_licence
from data.store.flat import SPLITS, open_split
from data.store.location import Location
from data.store.manifest import read_manifest


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the data, to write into."""
    return shutil.copytree(made, tmp_path / "data")


def describe_it(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["describe", *map(str, words)])
    return describe.main()


def test_datasets_reads_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert describe_it(monkeypatch, folder, "--card", "--licence", "cc-by-4.0") == 0
    # Nothing but what the card points at is needed.
    shutil.rmtree(folder / "parts")
    shutil.rmtree(folder / "packed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    read = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    manifest = read_manifest(folder)
    assert list(read) == list(SPLITS)
    for name, rows in read.items():
        assert set(rows["split"]) == {name}
        assert len(rows) == manifest.splits[name]["pieces"]
        assert sum(map(len, rows["tokens"])) == manifest.splits[name]["tokens"]
        assert all(text.startswith("X:1\n") for text in rows["abc"])
    assert not set(read["train"]["group_id"]) & set(read["test"]["group_id"])


def test_the_card_tells_what_the_manifest_has(made: Path) -> None:
    manifest = read_manifest(made)
    text = card(manifest, UNKNOWN)
    head = yaml.safe_load(text.split(FENCE)[1])
    assert head["license"] == "unknown"
    assert head["size_categories"] == ["n<1K"]
    for told in (
        manifest.fingerprint,
        "| duplicate | 1 |",
        f"| train | {manifest.splits['train']['pieces']:,} |",
        f"{manifest.thresholds['val_to']:.6g}",
        f"symusic {manifest.versions['symusic']}",
    ):
        assert told in text


def test_a_folder_of_the_maker_is_not_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = str(Path(read_manifest(folder).source).parent)
    assert describe_it(monkeypatch, folder, "--card") == 0
    written = [folder / "README.md", folder / "splits.csv", *(folder / "splits").iterdir()]
    assert len(written) == 5
    assert not [file.name for file in written if where.encode() in file.read_bytes()]
    assert corpus("/home/me/my tunes/") == "my tunes"
    assert corpus("lakh-full") == "lakh-full"


@pytest.mark.parametrize("source", NAMED)
def test_the_licence_of_each_corpus_is_known(source: str) -> None:
    assert known_licence(source).word in set(KNOWN) - {"unknown"}
    assert set(CORPORA) < set(NAMED)


def test_a_stated_licence_stays_stated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert licence_of(Location.of(folder)) == UNKNOWN
    assert describe_it(monkeypatch, folder, "--card", "--licence", "cc0-1.0") == 0
    assert describe_it(monkeypatch, folder, "--card") == 0
    assert licence_of(Location.of(folder)).word == "cc0-1.0"


def test_a_wrong_licence_is_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert describe_it(monkeypatch, folder, "--card", "--licence", "cc-by-40") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "found licence 'cc-by-40'" in line
    assert "did you mean 'cc-by-4.0'?" in line
    assert not (folder / "README.md").exists()
    (folder / "README.md").write_text("my notes")
    assert describe_it(monkeypatch, folder, "--card") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (folder / "README.md").read_text() == "my notes"


def test_a_missing_split_is_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(folder)
    left = {name: manifest.splits[name] for name in ("train", "val")}
    (folder / "manifest.json").write_text(json.dumps(asdict(replace(manifest, splits=left))))
    assert describe_it(monkeypatch, folder, "--card") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("found no split 'test', expected train, val, test")


def test_splits_are_told_by_ids_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe_it(monkeypatch, folder, "--card") == 0
    lines = (folder / "splits.csv").read_text().splitlines()
    assert lines[0] == "piece_id,split"
    assert all(len(line.split(",")[0]) == 32 for line in lines[1:])
    assert read_splits(Location.of(folder / "splits.csv")) == splits_of(Location.of(folder))


def test_held_out_pieces_are_those_that_evaluation_reads(made: Path) -> None:
    folder = Location.of(made)
    found = held_out(folder, splits_of(folder))
    for name in HELD_OUT:
        split, rows = open_split(made, name), found[name]
        assert np.array_equal(rows["tokens"].combine_chunks().values, split.tokens)
        assert np.array_equal(rows["seconds"], split.seconds)
        assert rows["num_notes"].to_pylist() == split.num_notes.tolist()


def test_splits_move_pieces(made: Path) -> None:
    folder = Location.of(made)
    own = splits_of(folder)
    train = [piece for piece, split in own.items() if split == "train"]
    found = held_out(folder, {train[0]: "val", train[1]: "test", train[2]: "train"})
    assert [rows["piece_id"].to_pylist() for rows in found.values()] == [[train[0]], [train[1]]]


def test_a_part_of_a_split_is_refused(made: Path) -> None:
    folder = Location.of(made)
    others = splits_of(folder) | {"0" * 32: "val"}
    with pytest.raises(DataError, match=r"found (\d+) of the \d+ pieces of val"):
        held_out(folder, others)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,split\na,val\n", "found no line piece_id,split"),
        ("piece_id,split\na,val\nb,dev\n", ":3: found 'b,dev'"),
        ("piece_id,split\na,val\nb,train\n", "found no split 'test', expected val, test"),
        ("", "found no line piece_id,split"),
        ("\xff", "found no line piece_id,split"),
    ],
)
def test_wrong_splits_are_a_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "splits.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as error:
        read_splits(Location.of(tmp_path / "splits.csv"))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
