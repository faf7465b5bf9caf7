"""A grid may name a data set that is prepared already; it is used as it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from data.store.location import Location
from data.store.manifest import Manifest
from sweeps.errors import GridError
from sweeps.results.summary import following
from sweeps.sweep import Sweep
from tests.sweeps.real_command import records, run, write_grid, written

CELLS = "cells: {arch: lstm, size: [4k, 6k], tokens: 10k}\n"
TRAINING = "training: {batch_tokens: 512, context: 64}\n"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A prepared data set, as far as a grid is resolved on it."""
    folder = tmp_path / "my_data"
    folder.mkdir()
    splits = {"train": {"tokens": 2000, "pieces": 9}}
    manifest = Manifest("fake", "stand-in", "remi", 24, 139, 0, splits, {}, {}, {})
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)))
    return folder


def sweep_on(folder: Path, data: str) -> Sweep:
    grid = folder / "small.yaml"
    grid.write_text(f"data: {{{data}}}\n{CELLS}{TRAINING}")
    return Sweep(str(grid), (), Location.of(folder / "runs"))


def test_its_cells_are_of_that_data(given: Path, tmp_path: Path) -> None:
    sweep = sweep_on(tmp_path, f"source: {given}, tokenizer: remi")
    assert sweep.data("remi") == Location.of(given)
    assert [cell.fields["data"] for cell in sweep.listed()] == ["fake", "fake"]
    assert any(f" --data {given} " in line for line in following(sweep))
    # And so again, from the list that was kept.
    assert Sweep(sweep.grid_name, (), sweep.out).listed() == sweep.listed()


def test_what_a_grid_wants_otherwise_lies_beside_it(tmp_path: Path) -> None:
    plain, facts, works = (
        sweep_on(tmp_path, f"source: folk{more}").data("abc")
        for more in ("", ", facts: mine.csv", ", works: mine")
    )
    assert plain == Location.of(tmp_path / "runs" / "data" / "folk-abc")
    assert {place.parent for place in (facts, works)} == {plain.parent}
    assert all(place.name.startswith("folk-abc-") for place in (facts, works))
    assert len({plain, facts, works}) == 3


@pytest.mark.parametrize("more", ["", ", tokenizer: abc", ", tokenizer: remi, max_tokens: 500"])
def test_it_cannot_be_had_otherwise(given: Path, tmp_path: Path, more: str) -> None:
    with pytest.raises(GridError, match=r"my_data is a prepared .* 'tokenizer: remi'"):
        sweep_on(tmp_path, f"source: {given}{more}").data("remi")


def test_a_list_of_cells_that_came_with_the_folder_names_no_other_data(
    given: Path, tmp_path: Path
) -> None:
    sweep = sweep_on(tmp_path, f"source: {given}, tokenizer: remi")
    sweep.listed()
    kept = tmp_path / "runs" / "small" / "cells.json"
    other = json.loads(kept.read_text()) | {"data": [str(tmp_path / "elsewhere")]}
    kept.write_text(json.dumps(other))
    Sweep(sweep.grid_name, (), sweep.out).listed()
    assert json.loads(kept.read_text())["data"] == [str(given)]


def test_a_sweep_trains_on_it_and_leaves_it_alone(source: Path, tmp_path: Path) -> None:
    first = write_grid(tmp_path, source, archs="lstm", sizes="4k", tokens="5k")
    assert run(first, tmp_path / "first").returncode == 0
    (prepared,) = (tmp_path / "first" / "data").iterdir()
    before = written(prepared)
    grid = write_grid(tmp_path, prepared, name="again", archs="lstm", sizes="4k", tokens="5k")
    done = run(grid, tmp_path / "second")
    assert done.returncode == 0, done.stdout + done.stderr
    assert written(prepared) == before
    assert not (tmp_path / "second" / "data").exists()
    (one,), (other,) = (records(tmp_path / each).values() for each in ("first", "second"))
    assert one["measured"]["val_loss"] == other["measured"]["val_loss"]
