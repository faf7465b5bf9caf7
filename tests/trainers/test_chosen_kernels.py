"""A choice of kernels holds for a sweep, and is remembered by the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from data.store.location import Location
from data.store.versioned import VersionError
from trainers.cell import Cell
from trainers.chosen_kernels import Kernels, kept

BLOCKS, MIXED = Kernels(None, attention="blocks"), Kernels(True, product="mixed")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that has chosen nothing yet."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def sweep(tmp_path: Path) -> Location:
    return Location.of(tmp_path / "sweep")


def never(before: Kernels | None) -> Kernels:
    raise AssertionError


def choosing(chosen: Kernels, seen: list[Kernels | None]) -> Callable[[Kernels | None], Kernels]:
    def choose(before: Kernels | None) -> Kernels:
        seen.append(before)
        return chosen

    return choose


def test_the_first_choice_of_a_sweep_holds_for_all_cells_of_the_shape(
    cell: Cell, sweep: Location
) -> None:
    assert kept(sweep, cell, 2, choosing(BLOCKS, [])) == BLOCKS
    for other in (cell, replace(cell, seed=3, tokens=2 * cell.tokens, lr=1.0)):
        assert kept(sweep, other, 2, never) == BLOCKS


def test_other_shapes_have_choices_of_their_own(cell: Cell, sweep: Location) -> None:
    kept(sweep, cell, 2, choosing(BLOCKS, []))
    for other, rows in (
        (cell, 3),
        (replace(cell, size="9k"), 2),
        (replace(cell, vocab_size=cell.vocab_size + 1), 2),
        (replace(cell, precision="bf16"), 2),
    ):
        seen: list[Kernels | None] = []
        assert kept(sweep, other, rows, choosing(MIXED, seen)) == MIXED
        assert seen == [None]


def test_the_machine_remembers_it_for_the_next_sweep(cell: Cell, tmp_path: Path) -> None:
    kept(Location.of(tmp_path / "one"), cell, 2, choosing(BLOCKS, []))
    seen: list[Kernels | None] = []
    compiled = replace(BLOCKS, compiled=True)
    # It has more steps to train, by which compiling pays.
    assert kept(Location.of(tmp_path / "two"), cell, 2, choosing(compiled, seen)) == compiled
    assert seen == [BLOCKS]
    assert kept(Location.of(tmp_path / "one"), cell, 2, never) == BLOCKS
    assert kept(None, cell, 2, choosing(compiled, seen)) == compiled
    assert seen[1:] == [compiled]


def test_of_two_that_choose_at_once_both_take_the_choice_of_one(
    cell: Cell, sweep: Location
) -> None:
    def beside_another(before: Kernels | None) -> Kernels:
        kept(sweep, cell, 2, choosing(MIXED, []))
        return BLOCKS

    assert kept(sweep, cell, 2, beside_another) == MIXED


@pytest.mark.parametrize("text", ["", "[]", '{"product": "best"}', '{"compiled": 1}'])
def test_a_damaged_choice_is_named(cell: Cell, sweep: Location, text: str) -> None:
    kept(sweep, cell, 2, choosing(BLOCKS, []))
    (path,) = (sweep / "kernels").children()
    path.write_text(text)
    with pytest.raises(VersionError, match=r"remove it; kernels are chosen again"):
        kept(sweep, cell, 2, never)
