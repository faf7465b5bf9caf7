"""Files are added to a data set as another one beside it; nothing of the first is made again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray
import symusic

from data import add as adding
from data import describe, stages
from data.add import add
from data.card import card, licence_of
from data.errors import DataError
from data.prepare import prepare
from data.store.flat import SPLITS, check_sums, open_split
from data.store.location import Location
from data.store.manifest import KEEPS_SIGNATURES, Manifest, read_manifest
from data.works.splits import position
from tests.data.conftest import WORKS, kill_after, pieces, write_works

OLD = 40
"""Works that the first set has, each in one version; the other versions and works are added."""


@dataclass(frozen=True)
class Grown:
    first: Path
    source: Path
    out: Path
    before: dict[str, bytes]
    """The files of the first set, before anything was added to it."""

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.out)


def files(folder: Path) -> dict[str, bytes]:
    found = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def split_works(folder: Path) -> tuple[Path, Path]:
    """The files of a first set, and those that are added."""
    old, new = folder / "old", folder / "new"
    write_works(new)
    old.mkdir()
    for number in range(OLD):
        shutil.move(new / f"{number:02d}-0.mid", old)
    shutil.copy(new / "not.mid", old / "neither.mid")
    return old, new


def write_medley(old: Path, made: Path, file: Path) -> None:
    """A piece of two tracks: a work in training, and one in validation."""
    medley = symusic.Score(96)
    for split in ("train", "val"):
        path = min(row["path"] for row in pieces(made) if row["split"] == split)
        medley.tracks.append(symusic.Score(old / path).tracks[0])
    file.write_bytes(medley.dumps_midi())


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    folder = tmp_path_factory.mktemp("growing")
    old, new = split_works(folder)
    first, out = folder / "first", folder / "grown"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    prepare(str(old), "abc", Location.of(first))
    write_medley(old, first, new / "medley.mid")
    before = files(first)
    add(Location.of(first), str(new), Location.of(out))
    ray.shutdown()
    return Grown(first, new, out, before)


def test_no_old_piece_moves_and_the_first_set_stays_as_it_was(grown: Grown) -> None:
    assert files(grown.first) == grown.before
    parts = {name: held for name, held in grown.before.items() if name.startswith("parts/")}
    assert parts.items() <= files(grown.out).items()
    # Linked: they take no room.
    assert all((grown.out / name).samefile(grown.first / name) for name in parts)


def test_new_versions_join_the_group_and_split_of_their_work(grown: Grown) -> None:
    places: dict[str, set[tuple[str, str]]] = {}
    rows = pieces(grown.out)
    for row in rows:
        places.setdefault(row["path"][:2], set()).add((row["group_id"], row["split"]))
    assert len(rows) == WORKS + WORKS // 3
    assert all(len(found) == 1 for found in places.values())
    assert len(set.union(*places.values())) == WORKS
    assert {split for found in places.values() for _, split in found} == set(SPLITS)


def test_works_of_their_own_go_by_the_thresholds_of_the_first_set(grown: Grown) -> None:
    thresholds = read_manifest(grown.first).thresholds
    assert grown.manifest.thresholds == thresholds
    for row in pieces(grown.out):
        if int(row["path"][:2]) >= OLD:
            where = position(row["group_id"])
            held = {"val": where <= thresholds["val_to"], "test": where >= thresholds["test_from"]}
            assert held.get(row["split"], not any(held.values()))


def test_what_is_left_out_has_a_reason(grown: Grown) -> None:
    rows = pq.read_table(grown.out / "rejected.parquet").to_pylist()
    assert {row["path"]: row["reason"] for row in rows} == {
        "neither.mid": "unreadable",
        "copy.mid": "duplicate",
        "not.mid": "unreadable",
        "medley.mid": "two_splits",
    }
    (copy, medley) = (row["detail"] for row in rows if row["path"] in ("copy.mid", "medley.mid"))
    assert copy == "the notes of 07-0.mid"
    assert "-0.mid in train and of " in medley


def test_the_manifest_says_parent_and_addition(grown: Grown) -> None:
    manifest, first = grown.manifest, read_manifest(grown.first)
    assert manifest.fingerprint != first.fingerprint
    (addition,) = manifest.added
    assert addition.parent == first.fingerprint
    assert addition.source == str(grown.source)
    assert addition.pieces == len(pieces(grown.out)) - OLD
    assert addition.rejected == {"duplicate": 1, "two_splits": 1, "unreadable": 1}
    assert manifest.rejected == {"duplicate": 1, "two_splits": 1, "unreadable": 2}
    assert manifest.sources == [first.source, str(grown.source)]


def test_what_is_trained_on_is_packed_and_summed(grown: Grown) -> None:
    assert check_sums(Location.of(grown.out))
    for name in SPLITS:
        split = open_split(grown.out, name)
        rows = [row for row in pieces(grown.out) if row["split"] == name]
        rows.sort(key=lambda row: row["piece_id"])
        assert split.tokens.tolist() == [token for row in rows for token in row["tokens"]]
        assert grown.manifest.splits[name]["pieces"] == len(rows)


def test_describing_it_and_its_card_tell_what_was_added(
    grown: Grown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ["describe", str(grown.out), "--out", str(tmp_path / "p.png")]
    monkeypatch.setattr(sys, "argv", words)
    assert describe.main() == 0
    (addition,) = grown.manifest.added
    told = f"{addition.pieces} pieces of {grown.source} to {addition.parent}"
    assert told in capsys.readouterr().out
    text = card(grown.manifest, licence_of(Location.of(grown.out)))
    assert text.splitlines()[1] == "pretty_name: old and new"
    assert f"- added to {addition.parent}: {addition.pieces} pieces of new; left out" in text
    monkeypatch.setattr(sys, "argv", [*words[:2], "--piece", "41-0.mid", *words[2:]])
    assert describe.main() == 0
    assert "signature" not in capsys.readouterr().out


def test_sources_of_several_licences_have_one_of_their_own(grown: Grown, tmp_path: Path) -> None:
    manifest = json.loads((grown.out / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"source": "maestro"}))
    licence = licence_of(Location.of(tmp_path))
    assert licence.word == "other"
    assert "CC BY-NC-SA 4.0. new: No licence was stated." in licence.said


def test_a_finished_folder_is_found_without_source_or_parent(grown: Grown, tmp_path: Path) -> None:
    out = shutil.copytree(grown.out, tmp_path / "brought")
    request = json.loads((out / "request.json").read_text())
    changed = {"source": "gone.tar.gz", "add_to": str(tmp_path / "gone")}
    (out / "request.json").write_text(json.dumps(request | changed))
    found = add(Location.of(tmp_path / "gone"), "gone.tar.gz", Location.of(out))
    assert found == grown.manifest
    with pytest.raises(DataError, match=r"holds source gone.tar.gz, .*; wanted source other"):
        add(Location.of(tmp_path / "gone"), "other", Location.of(out))


def test_nothing_is_added_into_the_folder_itself(grown: Grown) -> None:
    with pytest.raises(DataError, match="use another folder"):
        add(Location.of(grown.first), str(grown.source), Location.of(grown.first))
    assert files(grown.first) == grown.before


def test_what_is_there_already_adds_nothing(ray_here: None, grown: Grown, tmp_path: Path) -> None:
    """So its cells are those of its parent."""
    out = tmp_path / "again"
    again = add(Location.of(grown.out), str(grown.source), Location.of(out))
    assert again.fingerprint == grown.manifest.fingerprint
    assert again.added[-1].pieces == 0
    assert again.added[-1].parent == grown.manifest.fingerprint
    assert again.added[:-1] == grown.manifest.added


def test_one_step_or_two_keep_every_old_piece_where_it_was(
    ray_here: None, grown: Grown, tmp_path: Path
) -> None:
    sources = tmp_path / "one", tmp_path / "other"
    for number, source in enumerate(sources):
        source.mkdir()
        for file in sorted(grown.source.glob("*-?.mid"))[number::2]:
            shutil.copy(file, source)
    folder = Location.of(grown.first)
    for source in sources:
        before = {row["path"]: (row["group_id"], row["split"]) for row in pieces(Path(folder.path))}
        out = Location.of(tmp_path / f"with {source.name}")
        add(folder, str(source), out)
        after = {row["path"]: (row["group_id"], row["split"]) for row in pieces(Path(out.path))}
        assert before.items() <= after.items()
        folder = out
    works: dict[str, set[str]] = {}
    for path, (_, split) in after.items():
        works.setdefault(path[:2], set()).add(split)
    assert len(after) == WORKS + WORKS // 3
    assert all(len(splits) == 1 for splits in works.values())


def test_merges_and_cuts_are_those_of_the_first_set(
    ray_here: None, grown: Grown, tmp_path: Path
) -> None:
    first, out = Location.of(tmp_path / "first"), Location.of(tmp_path / "grown")
    prepare(str(grown.source.parent / "old"), "abc-bpe200", first, max_tokens=64)
    made = add(first, str(grown.source), out)
    assert made.vocab_size == read_manifest(first).vocab_size == 200
    assert (out / "tokenizer.json").read_text() == (first / "tokenizer.json").read_text()
    assert max(len(row["tokens"]) for row in pieces(tmp_path / "grown")) <= 64
    assert made.max_tokens == 64


def test_a_file_joins_the_work_that_its_path_names(ray_here: None, tmp_path: Path) -> None:
    old, new = split_works(tmp_path)
    (new / "05-other.mid").write_bytes((new / "50-0.mid").read_bytes())
    (new / "50-0.mid").unlink()
    first, out = Location.of(tmp_path / "first"), Location.of(tmp_path / "grown")
    prepare(str(old), "abc", first, works="^[0-9]{2}")
    add(first, str(new), out)
    rows = {row["path"]: row["group_id"] for row in pieces(tmp_path / "grown")}
    assert rows["05-other.mid"] == rows["05-0.mid"]


def test_an_addition_that_was_cut_off_goes_on_and_ends_the_same(
    ray_here: None, grown: Grown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise OSError("cut off")

    out = Location.of(tmp_path / "out")
    for name in ("place", "flatten"):
        with monkeypatch.context() as patch:
            patch.setattr(adding, name, cut_off)
            with pytest.raises(OSError, match="cut off"):
                add(Location.of(grown.first), str(grown.source), out)
        with pytest.raises(DataError, match="no finished data"):
            read_manifest(out)
    made: list[int] = []
    monkeypatch.setattr(stages, "stage", lambda *_: made.append(1))
    monkeypatch.setattr(stages, "finish", lambda *_: made.append(1))
    again = add(Location.of(grown.first), str(grown.source), out)
    assert not made
    assert again == grown.manifest


def test_a_source_or_parent_that_changed_meanwhile_is_refused(
    ray_here: None, grown: Grown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise OSError("cut off")

    source = shutil.copytree(grown.source, tmp_path / "new")
    first, out = shutil.copytree(grown.first, tmp_path / "first"), Location.of(tmp_path / "out")
    monkeypatch.setattr(adding, "place", cut_off)
    with pytest.raises(OSError, match="cut off"):
        add(Location.of(first), str(source), out)
    manifest = (first / "manifest.json").read_text()
    (first / "manifest.json").write_text(manifest.replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(DataError, match="added, removed or changed"):
        add(Location.of(first), str(source), out)
    (first / "manifest.json").write_text(manifest)
    (source / "41-0.mid").unlink()
    with pytest.raises(DataError, match="added, removed or changed"):
        add(Location.of(first), str(source), out)


@pytest.mark.long
def test_killed_at_any_moment_and_run_again_it_ends_the_same(grown: Grown, tmp_path: Path) -> None:
    words = [str(grown.first), "--source", str(grown.source), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "data.add", *words]
    environment = os.environ | {"PYTHONPATH": str(Path(adding.__file__).parents[1])}
    (tmp_path / "out").mkdir()
    for names in (1, 3, 5, 7):
        kill_after(names, command, environment, tmp_path / "out")
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert read_manifest(tmp_path / "out") == grown.manifest
    assert files(grown.first) == grown.before


def old_schema(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["schema"] = KEEPS_SIGNATURES - 1
    (folder / "manifest.json").write_text(json.dumps(manifest))


def no_parts(folder: Path) -> None:
    shutil.rmtree(folder / "parts")


def no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (old_schema, "is from before signatures were kept (schema 3, expected 4): prepare it"),
        (no_parts, f"found 0 of its {OLD} pieces in parts/; bring all of the folder"),
        (no_manifest, "no finished data at"),
    ],
)
def test_a_set_that_cannot_be_added_to_is_refused_in_a_line(
    damage: Callable[[Path], None],
    message: str,
    grown: Grown,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = shutil.copytree(grown.first, tmp_path / "first")
    damage(first)
    words = [str(first), "--source", str(grown.source), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["add", *words])
    assert adding.main() == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
