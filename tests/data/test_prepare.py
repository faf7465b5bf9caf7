"""From a folder of MIDI to a data set: complete, without leaks, and the same however it is made."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import starmap
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
from ray.cluster_utils import Cluster

from data import prepare as preparing
from data import stages, tasks
from data.errors import DataError
from data.music.filters import Filters
from data.prepare import prepare
from data.sources.facts import Table
from data.sources.named import state
from data.store.flat import SPLITS, open_split
from data.store.location import Location
from data.store.lock import held
from data.store.manifest import KEEPS_GROUPS, Manifest, read_manifest
from data.tokens.make import load_tokenizer
from tests.data.conftest import WORKS, kill_after, pieces, write_works


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
        groups = list(dict.fromkeys(row["group_id"] for row in rows))
        assert split.groups.tolist() == [groups.index(row["group_id"]) for row in rows]
        assert len(groups) == manifest.splits[name]["groups"]
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


def test_a_finished_folder_needs_its_source_no_more(
    made: Path, works: Path, tmp_path: Path
) -> None:
    """Brought to another machine, say."""
    out = tmp_path / "brought"
    shutil.copytree(made, out)
    request = json.loads((out / "request.json").read_text())
    (out / "request.json").write_text(json.dumps(request | {"source": "gone.tar.gz"}))
    assert prepare("gone.tar.gz", "abc", Location.of(out)) == read_manifest(made)
    with pytest.raises(DataError, match="wanted source folk"):
        prepare("folk", "abc", Location.of(out))


def test_data_of_before_groups_were_kept_are_given_them(
    made: Path, works: Path, tmp_path: Path
) -> None:
    old = tmp_path / "made"
    shutil.copytree(made, old)
    for column in (old / "packed").glob("*.groups.npy"):
        column.unlink()
    manifest = json.loads((old / "manifest.json").read_text())
    del manifest["schema"], manifest["sums"]
    (old / "manifest.json").write_text(json.dumps(manifest))
    now = replace(read_manifest(made), schema=KEEPS_GROUPS, sums={})
    assert prepare(str(works), "abc", Location.of(old)) == now
    for name in SPLITS:
        assert open_split(old, name).groups.tolist() == open_split(made, name).groups.tolist()


def test_a_run_that_was_cut_off_goes_on_and_ends_the_same(
    ray_here: None, made: Path, works: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise OSError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "place", cut_off)
        with pytest.raises(OSError, match="cut off"):
            prepare(str(works), "abc", Location.of(tmp_path))
    with pytest.raises(DataError, match="no finished data"):
        read_manifest(tmp_path)
    staged = {part: part.stat().st_mtime_ns for part in (tmp_path / "staging").iterdir()}
    assert staged
    placed: list[int] = []
    monkeypatch.setattr(stages, "stage", lambda *_: placed.append(1))
    again: Manifest = prepare(str(works), "abc", Location.of(tmp_path))
    assert not placed
    assert again.fingerprint == read_manifest(made).fingerprint


def add_a_file(source: Path) -> None:
    shutil.copy(source / "01-0.mid", source / "new.mid")


def remove_a_file(source: Path) -> None:
    (source / "01-0.mid").unlink()


def change_a_file(source: Path) -> None:
    """To another of the same size."""
    os.replace(source / "04-0.mid", source / "02-0.mid")
    shutil.copy(source / "02-0.mid", source / "04-0.mid")


@pytest.mark.parametrize("change", [add_a_file, remove_a_file, change_a_file])
def test_a_source_that_changed_while_it_was_prepared_is_refused_in_a_line(
    change: Callable[[Path], None],
    ray_here: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, out = tmp_path / "source", Location.of(tmp_path / "out")
    write_works(source)
    with monkeypatch.context() as patch:
        patch.setattr(stages, "each", lambda *_: None)
        with pytest.raises(OSError, match="staging"):
            prepare(str(source), "abc", out)
    change(source)
    with pytest.raises(DataError, match=rf"{out}: files of the source were .*; put them back, or"):
        prepare(str(source), "abc", out)
    assert not (out / "manifest.json").exists()


def test_a_table_that_changed_while_its_files_were_prepared_is_another_state(
    works: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("path,work\n01-0.mid,Air\n")
    before = state(str(works), [], {}, Table(Location.of(table)), None)
    assert state(str(works), [], {}, Table(Location.of(table)), None) == before
    table.write_text("path,work\n01-0.mid,Gigue\n")
    assert state(str(works), [], {}, Table(Location.of(table)), None) != before


def test_long_pieces_are_cut_and_stay_in_their_group(
    ray_here: None, works: Path, tmp_path: Path
) -> None:
    out = Location.of(tmp_path)
    manifest = prepare(str(works), "abc-bpe200", out, filters=Filters(too_long=10.5), max_tokens=64)
    # Both parts of the copy.
    assert manifest.rejected == {"duplicate": 2, "unreadable": 1}
    assert manifest.mended["cut"] > 0
    rows = pieces(tmp_path)
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(row["path"][:2], set()).add(row["group_id"])
        assert row["num_tokens"] == len(row["tokens"]) <= 64
    assert all(len(found) == 1 for found in groups.values())
    assert sum(row["num_notes"] for row in rows) == 40 * (WORKS + WORKS // 3)
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json")
    assert tokenizer.vocab_size == manifest.vocab_size == 200
    for row in rows[:20]:
        assert tokenizer.to_text(np.array(row["tokens"])) == row["abc"]


def test_what_a_table_says_stands_in_the_rows_and_its_works_share_a_group(
    ray_here: None, works: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    lines = ["path,composer,work,licence"]
    lines += ["01-0.mid,Bach,Air,cc0-1.0", "works/02-0.mid,Bach,Air,", "03-0.mid,Orff,Air,"]
    table.write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    prepare(str(works), "abc", Location.of(out), facts=str(table))
    rows = {row["path"]: row for row in pieces(out)}
    assert [rows[f"{name}-0.mid"]["composer"] for name in ("01", "03", "04")] == [
        "Bach",
        "Orff",
        "",
    ]
    assert rows["01-0.mid"]["licence"] == "cc0-1.0"
    assert rows["02-0.mid"]["licence"] == "unknown"
    # No end of the path 02-0.mid is works/02-0.mid.
    assert rows["02-0.mid"]["work"] == ""
    assert len({rows[f"0{n}-0.mid"]["group_id"] for n in range(1, 4)}) == 3

    lines[2] = "02-0.mid,Bach,Air,"
    table.write_text("\n".join(lines) + "\n")
    prepare(str(works), "abc", Location.of(tmp_path / "again"), facts=str(table))
    rows = {row["path"]: row for row in pieces(tmp_path / "again")}
    assert rows["01-0.mid"]["group_id"] == rows["02-0.mid"]["group_id"]
    assert rows["01-0.mid"]["group_id"] != rows["03-0.mid"]["group_id"]


def test_one_name_in_two_archives_is_two_files(ray_here: None, works: Path, tmp_path: Path) -> None:
    source = tmp_path / "archives"
    source.mkdir()
    files = sorted(works.glob("*.mid"))
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(source / name, "w") as archive:
            for file in files:
                archive.write(file, file.name)
    manifest = prepare(str(source), "abc", Location.of(tmp_path / "out"))
    made = pieces(tmp_path / "out")
    assert len(made) == len({row["piece_id"] for row in made}) == WORKS + WORKS // 3
    assert manifest.rejected["duplicate"] == len(made) + 2


def test_how_a_source_is_divided_and_packed_does_not_matter(
    works: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was written out in between is gone. In this process, where shards are as small as
    this test has them."""
    for module in (preparing, stages):
        monkeypatch.setattr(module, "each", lambda work, given: list(starmap(work, given)))
    monkeypatch.setattr("data.sources.spool.SMALL", 0)
    files = sorted(works.iterdir())
    with tarfile.open(tmp_path / "works.tar.gz", "w:gz") as tar:
        for file in files:
            tar.add(file, file.name)
    with zipfile.ZipFile(tmp_path / "works.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)
    found = set()
    for few in (3, 50):
        monkeypatch.setattr("data.sources.containers.FILES", few)
        for source in (works, tmp_path / "works.tar.gz", tmp_path / "works.zip"):
            out = tmp_path / f"{source.name}-{few}"
            manifest = prepare(str(source), "abc", Location.of(out))
            found.add((manifest.fingerprint, *manifest.rejected.items()))
            assert len(list((out / "parts").iterdir())) == -(-(len(files) - 1) // few)
            assert not (out / "staging").exists()
    assert [each[1:] for each in found] == [(("duplicate", 1), ("unreadable", 1))]


def test_what_is_filtered_is_counted_under_its_name(
    ray_here: None, works: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"too_short 81, unreadable 1\) no piece"):
        prepare(str(works), "abc", Location.of(tmp_path), filters=Filters(too_short=41))


@pytest.mark.long
def test_killed_at_any_moment_and_run_again_it_ends_the_same(
    made: Path, works: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "data.prepare", "--source", str(works), "--out", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(Path(preparing.__file__).parents[1])}
    for names in (1, 2, 4, 8):
        kill_after(names, command, environment, tmp_path)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert read_manifest(tmp_path).fingerprint == read_manifest(made).fingerprint


@pytest.mark.long
@pytest.mark.parametrize("moment", range(20))
def test_killed_and_its_source_changed_it_ends_the_same_or_is_refused(
    moment: int, made: Path, tmp_path: Path
) -> None:
    """Killed later and later, with nothing changed, or a file added, removed or changed."""
    source, out = tmp_path / "source", tmp_path / "out"
    write_works(source)
    command = [sys.executable, "-m", "data.prepare", "--source", str(source), "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(Path(preparing.__file__).parents[1])}
    out.mkdir()
    kill_after(1 + moment, command, environment, out)
    finished = (out / "manifest.json").exists()
    change = [None, add_a_file, remove_a_file, change_a_file][moment % 4]
    if change:
        change(source)
    ran = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if change and not finished and (out / "staging" / "source").exists():
        assert ran.returncode == 2
        assert ran.stderr.count("\n") == 1
        assert "files of the source were added, removed or changed" in ran.stderr
        shutil.rmtree(source)
        write_works(source)
        shutil.rmtree(out)
        subprocess.run(command, env=environment, check=True, capture_output=True)
    else:
        assert ran.returncode == 0, ran.stderr
    if finished or not change or ran.returncode == 2:
        assert read_manifest(out).fingerprint == read_manifest(made).fingerprint


def test_two_nodes_make_what_one_makes(made: Path, works: Path, tmp_path: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        assert len(ray.nodes()) == 2
        manifest = prepare(str(works), "abc", Location.of(tmp_path))
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert manifest == read_manifest(made)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "fokl"], "did you mean 'folk'"),
        (["--source", "{empty}"], "is empty"),
        (["--source", "{empty}/gone"], "no source at"),
        (["--source", "folk", "--tokenizer", "abz"], "did you mean 'abc'"),
        (["--source", "folk", "--ticks-per-quarter", "7"], "8, 12"),
        (["--source", "lakh-ful"], "did you mean 'lakh-full'"),
        (["--source", "folk", "--too-short", "-1"], "too_short"),
        (["--source", "folk", "--max-tokens", "3"], "at least 64"),
        (["--source", "folk", "--tokenizer", "abc-bpe20"], "expected a size above"),
        (["--source", "folk", "--works", "("], "no regular expression"),
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


def test_a_mirror_of_what_is_not_downloaded_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["--source", str(tmp_path), "--out", str(tmp_path / "out"), "--mirror", "there"]
    monkeypatch.setattr(sys, "argv", ["prepare", *words])
    with pytest.raises(SystemExit):
        preparing.main()
    assert "--mirror is for what is downloaded: " in capsys.readouterr().err


def test_a_second_preparation_in_a_folder_is_refused_in_a_line(tmp_path: Path) -> None:
    out = Location.of(tmp_path / "data")
    with (
        held(out, "prepares data there"),
        pytest.raises(DataError, match=f"process {os.getpid()} on .* prepares data there; wait"),
    ):
        prepare("folk", "abc", out)
    assert not (out / "request.json").exists()


def test_a_disk_that_is_full_for_a_task_is_an_error_of_the_disk(ray_here: None) -> None:
    def full(number: int) -> None:
        if number:
            raise OSError(errno.ENOSPC, "No space left on device", "part")

    with pytest.raises(OSError, match="part") as raised:
        tasks.each(full, [(0,), (1,)])
    assert type(raised.value) is OSError
    assert raised.value.errno == errno.ENOSPC


def test_an_archive_that_ends_early_is_named_in_a_line(
    ray_here: None, works: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "early.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(works, "works")
    archive.write_bytes(archive.read_bytes()[:4000])
    with pytest.raises(DataError) as raised:
        prepare(str(archive), "abc", Location.of(tmp_path / "out"))
    assert type(raised.value) is DataError
    assert str(raised.value).startswith(f"the archive {archive} is broken: ")
    assert "Traceback" not in capfd.readouterr().err


def test_a_task_that_is_killed_again_and_again_ends_in_a_line(
    ray_here: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "MAX_ATTEMPTS", 0)
    with pytest.raises(OSError, match=r"killed 2 times: .*; look for the end of memory"):
        tasks.each(lambda number: os.kill(os.getpid(), signal.SIGKILL), [(0,)])
    assert "Traceback" not in capfd.readouterr().err
