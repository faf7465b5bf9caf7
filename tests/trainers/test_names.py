"""A cell's name says what tells it from the others; its key stays what it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import CELL
from trainers.cell import Cell
from trainers.names import names, varying, words


def called(*cells: Cell) -> list[str]:
    return list(names({cell.key: vars(cell) for cell in cells}).values())


def test_a_name_is_architecture_size_and_seed_where_nothing_else_varies() -> None:
    assert called(CELL, replace(CELL, seed=1), replace(CELL, size="9k", tokens=512)) == [
        "transformer-4k-seed0",
        "transformer-4k-seed1",
        "transformer-9k-seed0",
    ]


def test_a_name_says_whatever_else_tells_cells_of_one_size_apart() -> None:
    assert called(CELL, replace(CELL, schedule="constant", lr=0.004)) == [
        "transformer-4k-lr0.008-cosine-seed0",
        "transformer-4k-lr0.004-constant-seed0",
    ]
    assert called(CELL, replace(CELL, tokens=2_500_096)) == [
        "transformer-4k-tokens10.24k-seed0",
        "transformer-4k-tokens2500.1k-seed0",
    ]


cells = st.builds(
    replace,
    st.just(CELL),
    arch=st.sampled_from(["lstm", "transformer"]),
    size=st.sampled_from(["4k", "9k"]),
    seed=st.integers(0, 3),
    lr=st.sampled_from([0.004, 0.008]),
    tokens=st.integers(1, 40).map(lambda batches: batches * 256),
    context=st.sampled_from([32, 64]),
    boundaries=st.sampled_from(["carry", "restart"]),
)


@given(st.lists(cells, unique=True, max_size=12))
def test_no_two_cells_of_a_grid_have_one_name(found: list[Cell]) -> None:
    given_names = names({str(index): vars(cell) for index, cell in enumerate(found)})
    assert len(set(given_names.values())) == len(found)


def test_the_shape_of_a_size_is_no_axis_and_a_field_of_later_is_no_difference() -> None:
    old = {key: value for key, value in CELL.params().items() if key != "boundaries"}
    new = replace(CELL, boundaries="restart", seed=1).params() | {"shape_width": 0}
    assert varying([old, new]) == ["seed"]
    assert words(old, ["boundaries", "seed"]) == ["seed 0"]


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        (CELL, "transformer-4k-seed0-187d5990d7b3"),
        (replace(CELL, arch="lstm", seed=3, lr=0.01), "lstm-4k-seed3-0d59a31ce3c7"),
        (
            replace(
                CELL,
                arch="gpt",
                size="1M",
                context=64,
                vocab_size=139,
                tokenizer="remi",
                boundaries="restart",
            ),
            "gpt-1M-seed0-512d9045d3d0",
        ),
    ],
)
def test_keys_are_what_they_were(cell: Cell, key: str) -> None:
    """Whoever changes one trains everything again that was ever trained."""
    assert cell.key == key
