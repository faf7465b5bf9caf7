"""Staged pieces find their places beside settled ones, of which none moves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from data.parts import REJECTED, STAGED, finish, placed_path, rejected_path
from data.placing import LEFT_OUT, TWO_SPLITS, Naming, Settled, place
from data.store.location import Location
from data.store.tables import read_table, write_rows
from data.works.signatures import BINS
from data.works.splits import position, split_by

THEMES = 30
RUNS = 16
"""Of a theme: as many are enough for versions of a work."""
THIRDS = {"val_to": 1 / 3, "test_from": 2 / 3}
BY_NOTES, BY_PATHS = Naming(), Naming(works="work[0-9]")


def staged_piece(name: str, themes: set[int]) -> dict[str, Any]:
    sketch = np.zeros(BINS, np.uint16)
    for theme in themes:
        sketch[RUNS * theme : RUNS * (theme + 1)] = theme + 1
    texts = {field.name: "" for field in STAGED if str(field.type) == "string"}
    counts = {"num_notes": 1, "num_bars": 1, "seconds": 1.0, "num_tracks": 1, "num_tokens": 2}
    own = {"piece_id": f"id-{name}", "path": name, "tokens": [0, 1], "signature": sketch}
    return texts | counts | own


class Growing:
    """A data set that grows by one part after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = Location.of(folder)
        self.parts: list[Location] = []
        self.left_out: dict[str, str] = {}

    def add(self, pieces: dict[str, set[int]], naming: Naming = BY_NOTES) -> None:
        number = len(self.parts)
        staged = self.folder / f"staging-{number}" / f"part-{number:05d}.parquet"
        write_rows(staged, [staged_piece(*piece) for piece in pieces.items()], STAGED)
        write_rows(rejected_path(staged), [], REJECTED)
        place([staged], naming, Settled(tuple(self.parts), THIRDS))
        assert len(read_table(placed_path(staged))) == len(pieces)
        self.parts.append(self.folder / "parts" / staged.name)
        finish(staged, self.parts[-1], None)
        rows = read_table(staged.parent / LEFT_OUT).to_pylist()
        self.left_out |= {row["path"]: row["reason"] for row in rows}

    @property
    def places(self) -> dict[str, tuple[str, str]]:
        """The group and split of each piece."""
        rows = [row for part in self.parts for row in pq.read_table(part.path).to_pylist()]
        return {row["path"]: (row["group_id"], row["split"]) for row in rows}


def named_for(split: str, beginning: str) -> str:
    """A piece that is of this split by its own id."""
    names = (f"{beginning}-{number}" for number in range(1000))
    return next(name for name in names if split_by([f"id-{name}"], THIRDS)[0] == split)


def test_a_version_joins_the_group_and_split_of_what_is_settled(tmp_path: Path) -> None:
    set_ = Growing(tmp_path)
    old, new = named_for("val", "old"), named_for("train", "a-new")
    set_.add({old: {1}})
    set_.add({new: {1}, "z-new": {1}})
    assert set_.places == dict.fromkeys((old, new, "z-new"), (f"id-{old}", "val"))


def test_a_version_of_works_in_two_splits_is_left_out_by_that_name(tmp_path: Path) -> None:
    set_ = Growing(tmp_path)
    first, second = named_for("train", "old"), named_for("test", "old")
    set_.add({first: {1}, second: {2}})
    before = set_.places
    set_.add({"medley": {1, 2}, "version of the medley": {1, 2, 3}, "other": {4}})
    assert set_.left_out == dict.fromkeys(("medley", "version of the medley"), TWO_SPLITS)
    assert set_.places == before | {"other": ("id-other", set_.places["other"][1])}
    rows = read_table(set_.folder / "staging-1" / LEFT_OUT).to_pylist()
    assert rows[0]["detail"] == f"a version of {first} in train and of {second} in test"


def test_a_medley_does_not_take_versions_with_it(tmp_path: Path) -> None:
    set_ = Growing(tmp_path)
    first, second = named_for("train", "old"), named_for("test", "old")
    set_.add({first: {1}, second: {2}})
    set_.add({"medley": {1, 2}, "of the first": {1}, "of the second": {2}, "excerpt": {2, 5}})
    assert set_.left_out == {"medley": TWO_SPLITS}
    assert set_.places["of the first"] == set_.places[first]
    assert set_.places["of the second"] == set_.places["excerpt"] == set_.places[second]


def test_a_chain_of_added_pieces_between_two_splits_is_left_out(tmp_path: Path) -> None:
    """Neither piece is a version of two works by itself, and both are versions of each other."""
    set_ = Growing(tmp_path)
    first, second = named_for("train", "old"), named_for("test", "old")
    set_.add({first: {1}, second: {2}})
    set_.add({"one": {1, 3}, "another": {2, 3}})
    assert set_.left_out == dict.fromkeys(("one", "another"), TWO_SPLITS)


def test_a_version_of_two_works_in_one_split_joins_the_first(tmp_path: Path) -> None:
    set_ = Growing(tmp_path)
    first, second = named_for("train", "a"), named_for("train", "b")
    set_.add({first: {1}, second: {2}})
    set_.add({"medley": {1, 2}})
    assert set_.places["medley"] == (f"id-{first}", "train")
    assert set_.places[second] == (f"id-{second}", "train")


def test_works_of_their_own_go_by_the_thresholds(tmp_path: Path) -> None:
    set_ = Growing(tmp_path)
    set_.add({"old": {0}})
    set_.add({f"new-{number}": {number} for number in range(1, THEMES)})
    assert len({split for _, split in set_.places.values()}) == 3
    for group_id, split in set_.places.values():
        where = position(group_id)
        assert split == ("val" if where <= 1 / 3 else "test" if where >= 2 / 3 else "train")


def test_a_piece_that_is_settled_stays_and_its_copy_is_left_out(tmp_path: Path) -> None:
    set_ = Growing(tmp_path)
    set_.add({"old": {1}})
    part = set_.folder / "staging-1" / "part-00001.parquet"
    copy = staged_piece("a path before the old one", {1}) | {"piece_id": "id-old"}
    write_rows(part, [copy], STAGED)
    write_rows(rejected_path(part), [], REJECTED)
    place([part], BY_NOTES, Settled(tuple(set_.parts), THIRDS))
    assert read_table(placed_path(part))["group_id"].to_pylist() == [None]
    (row,) = read_table(part.parent / LEFT_OUT).to_pylist()
    assert (row["reason"], row["detail"]) == ("duplicate", "the notes of old")


def test_works_that_paths_name_are_joined_with_settled_ones(tmp_path: Path) -> None:
    set_ = Growing(tmp_path)
    old = named_for("test", "work1/old")
    set_.add({old: {1}, "work2/old": {2}}, BY_PATHS)
    set_.add({"work1/new": {3}, "work3/new": {4}}, BY_PATHS)
    places = set_.places
    assert places["work1/new"] == places[old]
    assert places["work3/new"][0] == "id-work3/new"


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_in_any_number_of_steps_no_piece_moves_and_no_work_is_divided(data: st.DataObject) -> None:
    themes = st.sets(st.integers(0, THEMES - 1), min_size=1, max_size=3)
    steps = data.draw(st.lists(st.lists(themes, min_size=1, max_size=6), min_size=1, max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        set_ = Growing(Path(folder))
        held: dict[str, set[int]] = {}
        for number, step in enumerate(steps):
            before = set_.places
            added = {f"{number}-{at}": each for at, each in enumerate(step)}
            set_.add(added)
            after = set_.places
            held |= added
            assert before.items() <= after.items()
            assert set(after) | set(set_.left_out) == set(held)
            assert not set(after) & set(set_.left_out)
            split_of: dict[Any, set[str]] = {}
            for name, (group_id, split) in after.items():
                split_of.setdefault(group_id, set()).add(split)
                split_of.setdefault(frozenset(held[name]), set()).add(split)
            assert all(len(splits) == 1 for splits in split_of.values())
