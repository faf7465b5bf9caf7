"""Who is ahead on the same pieces: of what may be compared, the largest."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.store.location import Location
from sweeps.results.pairing import paired_lines
from tests.conftest import CELL
from trainers.cell import Cell
from trainers.losses import Losses, losses_path, read_losses, write_losses
from trainers.records import Record

HARD = np.random.default_rng(0).normal(2.0, 0.5, size=200)
"""Nats a token of each piece, whatever the model."""


def ended(folder: Path, level: float, **changed: Any) -> Record:
    """A cell whose loss is `level` above what each piece has, and nearly so by piece."""
    cell: Cell = replace(CELL, **changed)
    own = np.random.default_rng(len(list(folder.iterdir()))).normal(0, 0.01, size=200)
    tokens = np.full(200, 50)
    nats = (HARD + level + own) * tokens
    losses = Losses(nats, tokens, tokens, tokens, np.arange(200) // 2)
    write_losses(Location.of(folder) / cell.key, {"val": losses})
    measured = {"val_loss": nats.sum() / tokens.sum(), "n_params": cell.rung.counts.n_params}
    return Record(cell.key, "finished", "", cell.params(), measured, [], 1.0, 2.0)


def lines(folder: Path, *records: Record) -> list[str]:
    return paired_lines(Location.of(folder), records)


def test_two_architectures_are_compared_at_their_largest_common_size(tmp_path: Path) -> None:
    (line,) = lines(
        tmp_path,
        ended(tmp_path, 0.5, arch="lstm", size="4k"),
        ended(tmp_path, 0.1, arch="lstm", size="9k"),
        ended(tmp_path, 0.4, size="4k"),
        ended(tmp_path, 0.2, size="9k"),
        ended(tmp_path, 0.0, size="20k"),
    )
    assert line.startswith(
        "At 9k parameters, paired on 200 pieces of 100 works: lstm is ahead of transformer by 0.1"
    )
    assert "for these runs (1 and 1); other seeds are not in" in line


def test_seeds_are_taken_together_at_the_best_rate(tmp_path: Path) -> None:
    (line,) = lines(
        tmp_path,
        ended(tmp_path, 0.1, arch="lstm", seed=0),
        ended(tmp_path, 0.3, arch="lstm", seed=1),
        ended(tmp_path, 0.0, lr=0.1, seed=0),
        ended(tmp_path, 0.1, lr=0.1, seed=1),
        ended(tmp_path, 0.3, lr=0.2),
    )
    assert re.search(r"transformer is ahead of lstm by 0\.1(49|5)", line)
    assert "for these runs (2 and 2)" in line
    assert re.search(r"other seeds, which here change a loss by up to 0\.(199|20)", line)


@pytest.mark.parametrize(
    "changed", [{"size": "9k"}, {"data": "other"}, {"clip": 2.0}, {"tokens": 44 * 256}]
)
def test_what_differs_in_more_is_not_compared(tmp_path: Path, changed: dict[str, Any]) -> None:
    one, two = ended(tmp_path, 0.1), ended(tmp_path, 0.2, arch="lstm", **changed)
    assert lines(tmp_path, one, two) == []


def test_what_did_not_finish_or_kept_no_losses_is_not_compared(tmp_path: Path) -> None:
    one, two = ended(tmp_path, 0.1), ended(tmp_path, 0.2, arch="lstm")
    assert lines(tmp_path, one, replace(two, status="diverged", measured={})) == []
    losses_path(Location.of(tmp_path) / two.cell_key).delete()
    assert lines(tmp_path, one, two) == []


def test_losses_that_cannot_be_read_are_named_and_cost_no_other_pair(tmp_path: Path) -> None:
    bad = ended(tmp_path, 0.1, arch="lstm")
    others = ended(tmp_path, 0.2), ended(tmp_path, 0.3, arch="gpt")
    path = losses_path(Location.of(tmp_path) / bad.cell_key)
    path.write_bytes(b"PAR1")
    first, told, last = lines(tmp_path, bad, *others)
    assert "transformer is ahead of gpt" in told
    for line, pair in ((first, "gpt and lstm"), (last, "lstm and transformer")):
        assert line.startswith(f"{pair} are not paired: {path}: found no Parquet; remove")


def test_losses_of_different_pieces_are_not_paired(tmp_path: Path) -> None:
    one, two = ended(tmp_path, 0.1), ended(tmp_path, 0.2, arch="lstm")
    cell = Location.of(tmp_path) / two.cell_key
    half = {name: values[:100] for name, values in vars(read_losses(cell)["val"]).items()}
    write_losses(cell, {"val": Losses(**half)})
    (line,) = lines(tmp_path, one, two)
    assert line.startswith("lstm and transformer are not paired: their losses are of different")
