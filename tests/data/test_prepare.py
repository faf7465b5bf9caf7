"""From a folder of MIDI to a data set: complete, without leaks, and the same however it is made."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray

from data import prepare as preparing
from data.packed import SPLITS, DataError, Manifest, open_split, read_manifest
from data.prepare import prepare
from data.storage import Location
from data.tokenizers import load_tokenizer
from tests.data.conftest import make_midi

WORKS = 60


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def write_works(folder: Path) -> None:
    """Works of 40 notes, every third with a transposed version, a copy, and what is no MIDI."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    for number in range(WORKS):
        pitches = rng.integers(55, 80, 40).tolist()
        for version in range(1 + (number % 3 == 0)):
            events = [(48 * at, 48, pitch + 2 * version) for at, pitch in enumerate(pitches)]
            content = make_midi([(0, False, events)]).dumps_midi()
            (folder / f"{number:02d}-{version}.mid").write_bytes(content)
    (folder / "copy.mid").write_bytes((folder / "07-0.mid").read_bytes())
    (folder / "not.mid").write_bytes(b"RIFF")
    (folder / "notes.txt").write_text("not music")


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "works"
    write_works(folder)
    return folder


@pytest.fixture(scope="module")
def made(ray_here: None, works: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "data"
    prepare(str(works), "abc", Location.of(out))
    return out


def pieces(out: Path) -> list[dict]:
    return [
        row for part in sorted((out / "parts").iterdir()) for row in pq.read_table(part).to_pylist()
    ]


def test_every_file_is_a_piece_or_has_a_reason(made: Path) -> None:
    rejected = {
        row["path"]: row["reason"] for row in pq.read_table(made / "rejected.parquet").to_pylist()
    }
    assert rejected == {"copy.mid": "duplicate", "not.mid": "unreadable"}
    assert len(pieces(made)) == WORKS + WORKS // 3
    assert read_manifest(made).rejected == {"duplicate": 1, "unreadable": 1}


def test_versions_of_a_work_share_a_group_and_works_do_not(made: Path) -> None:
    groups: dict[str, set[str]] = {}
    for row in pieces(made):
        groups.setdefault(row["path"][:2], set()).add(row["group_id"])
    assert all(len(found) == 1 for found in groups.values())
    assert len(set.union(*groups.values())) == WORKS


def test_no_group_is_in_two_splits_and_none_is_empty(made: Path) -> None:
    split_of = {row["group_id"]: row["split"] for row in pieces(made)}
    assert all(split_of[row["group_id"]] == row["split"] for row in pieces(made))
    assert set(split_of.values()) == set(SPLITS)


def test_the_packed_files_hold_what_the_parts_hold(made: Path) -> None:
    tokenizer = load_tokenizer(made / "tokenizer.json")
    manifest = read_manifest(made)
    for name in SPLITS:
        split = open_split(made, name)
        rows = sorted(
            (row for row in pieces(made) if row["split"] == name), key=lambda row: row["piece_id"]
        )
        assert isinstance(split.tokens, np.memmap)
        assert split.starts[-1] == len(split.tokens) == manifest.splits[name]["tokens"]
        assert split.num_notes.tolist() == [row["num_notes"] for row in rows]
        for index, row in enumerate(rows):
            tokens = split.tokens[split.starts[index] : split.starts[index + 1]]
            assert tokens.tolist() == row["tokens"]
            assert (tokens[0], tokens[-1]) == (tokenizer.bos_id, tokenizer.eos_id)
            assert tokenizer.to_text(tokens) == row["abc"]


def test_a_finished_folder_is_found_and_another_wish_refused(made: Path, works: Path) -> None:
    before = (made / "manifest.json").stat().st_mtime_ns
    assert prepare(str(works), "abc", Location.of(made)) == read_manifest(made)
    assert (made / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="grid 24"):
        prepare(str(works), "abc", Location.of(made), ticks_per_quarter=12)


def test_a_run_that_was_cut_off_goes_on_and_ends_the_same(
    made: Path, works: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "place", cut_off)
        with pytest.raises(KeyboardInterrupt):
            prepare(str(works), "abc", Location.of(tmp_path))
    with pytest.raises(DataError, match="no finished data"):
        read_manifest(tmp_path)
    staged = {part: part.stat().st_mtime_ns for part in (tmp_path / "staging").iterdir()}
    assert staged
    placed: list[int] = []
    monkeypatch.setattr(preparing, "stage", lambda *_: placed.append(1))
    again: Manifest = prepare(str(works), "abc", Location.of(tmp_path))
    assert not placed
    assert again.fingerprint == read_manifest(made).fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "fokl"], "did you mean 'folk'"),
        (["--source", "{empty}"], "is empty"),
        (["--source", "{empty}/gone"], "no source at"),
        (["--source", "folk", "--tokenizer", "abz"], "did you mean 'abc'"),
        (["--source", "folk", "--ticks-per-quarter", "7"], "8, 12"),
    ],
)
def test_bad_arguments_end_with_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    filled = [argument.format(empty=tmp_path / "empty") for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["prepare", *filled, "--out", str(tmp_path / "out")])
    assert preparing.main() == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
