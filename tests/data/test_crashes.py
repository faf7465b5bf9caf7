"""A file that kills its reader is found, and no other file is lost with it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import ray

from data import prepare as preparing
from data.abc.tokenizer import AbcTokenizer
from data.crashes import MAX_ATTEMPTS, begin, fatal_files
from data.errors import DataError
from data.music.filters import Filters
from data.music.score import Score
from data.parts import PieceSpec, rejected_path, stage
from data.sources.containers import Shard
from data.sources.folders import Files
from data.store.location import Location
from data.store.tables import read_table
from data.tokens.protocol import Tokenizer
from harness.damage import mutate
from tests.data.conftest import WORKS, make_midi


class Fragile(AbcTokenizer):
    """Kills its process on a piece of a single note."""

    def encode_all(self, scores: Sequence[Score]) -> list[np.ndarray]:
        if any(len(score) == 1 for score in scores):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().encode_all(scores)


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    folder = tmp_path / "midi"
    folder.mkdir()
    for name, notes in (("a", 3), ("deadly", 1), ("m", 4), ("other-deadly", 1), ("z", 5)):
        events = [(48 * at, 48, 60 + at) for at in range(notes)]
        (folder / f"{name}.mid").write_bytes(make_midi([(0, False, events)]).dumps_midi())
    (folder / "not.mid").write_bytes(b"RIFF")
    names = sorted(file.name for file in folder.iterdir())
    return Files.of(Location.of(folder), names)


def test_every_fatal_file_is_named_with_its_signal(shard: Shard) -> None:
    found = fatal_files(shard, Fragile())
    assert sorted(found) == ["deadly.mid", "other-deadly.mid"]
    assert "signal 11" in found["deadly.mid"]


def test_a_fatal_file_is_found_whatever_its_name(tmp_path: Path) -> None:
    """Each name is told in a line, and one with a newline was looked for without end."""
    name = "two\nlines.mid"
    (tmp_path / name).write_bytes(make_midi([(0, False, [(0, 48, 60)])]).dumps_midi())
    assert list(fatal_files(Files.of(Location.of(tmp_path), [name]), Fragile())) == [name]


def test_bytes_that_are_only_wrong_kill_nothing(shard: Shard) -> None:
    assert fatal_files(shard, AbcTokenizer()) == {}


def test_a_task_that_died_costs_only_the_files_that_killed_it(shard: Shard, tmp_path: Path) -> None:
    part = Location.of(tmp_path) / "staging" / "part-00000.parquet"
    begin(part.parent / f"{part.name}.begun", "an earlier run", "a folder")
    fragile: Tokenizer = Fragile()
    stage(shard, part, PieceSpec("a folder", fragile, Filters(), None), "this run")
    assert read_table(part)["path"].to_pylist() == ["a.mid", "m.mid", "z.mid"]
    reasons = {row["path"]: row["reason"] for row in read_table(rejected_path(part)).to_pylist()}
    assert reasons == {"deadly.mid": "crash", "other-deadly.mid": "crash", "not.mid": "unreadable"}
    assert sorted(child.name for child in part.parent.children()) == [
        "part-00000.parquet",
        "rejected-00000.parquet",
    ]


def test_a_shard_that_ends_its_tasks_without_a_fatal_file_is_given_up(tmp_path: Path) -> None:
    mark = Location.of(tmp_path) / "part-00000.parquet.begun"
    begin(mark, "an earlier run", "a.tar")
    for _ in range(MAX_ATTEMPTS):
        begin(mark, "this run", "a.tar")
    with pytest.raises(DataError, match=r"^a\.tar: a task that reads it was killed 5 times"):
        begin(mark, "this run", "a.tar")
    assert begin(mark, "a later run", "a.tar") == MAX_ATTEMPTS + 1


def test_damaged_files_are_pieces_or_have_a_reason_and_none_is_lost(
    works: Path, tmp_path: Path
) -> None:
    originals = [file.read_bytes() for file in sorted(works.glob("*.mid"))]
    rng = np.random.default_rng(11)
    names = [f"{number:03d}.mid" for number in range(400)]
    (tmp_path / "midi").mkdir()
    for name in names:
        content, other = (originals[int(n)] for n in rng.integers(0, len(originals), 2))
        (tmp_path / "midi" / name).write_bytes(mutate(content, other, rng))
    part = Location.of(tmp_path) / "staging" / "part-00000.parquet"
    # As after a death, so that no damage can end the process of this test.
    begin(part.parent / f"{part.name}.begun", "an earlier run", "a folder")
    shard = Files.of(Location.of(tmp_path / "midi"), names)
    stage(shard, part, PieceSpec("a folder", AbcTokenizer(), Filters(), None), "this run")
    pieces = read_table(part)["path"].to_pylist()
    rejected = read_table(rejected_path(part)).to_pylist()
    assert sorted([*pieces, *(row["path"] for row in rejected)]) == names
    assert {row["reason"] for row in rejected} <= {"unreadable", "crash"}
    assert all(row["detail"] for row in rejected)
    assert min(len(pieces), len(rejected)) > 20


def test_a_parser_that_kills_its_process_costs_one_file_of_a_data_set(
    works: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = tmp_path / "works"
    shutil.copytree(works, deadly)
    (deadly / "03-deadly.mid").write_bytes(make_midi([(0, False, [(0, 96, 60)])]).dumps_midi())
    monkeypatch.setattr(preparing, "make_tokenizer", lambda name, grid: Fragile(grid))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        manifest = preparing.prepare(str(deadly), "abc", Location.of(tmp_path / "out"))
    finally:
        ray.shutdown()
    assert manifest.rejected == {"crash": 1, "duplicate": 1, "unreadable": 1}
    assert sum(split["pieces"] for split in manifest.splits.values()) == WORKS + WORKS // 3
