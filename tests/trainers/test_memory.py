"""The formula that cells are placed by, against what the allocator saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.peak_memory import measured, write_data
from trainers.cell import Cell
from trainers.ladder import archs
from trainers.memory import peak_bytes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    write_data(folder)
    return folder


@pytest.mark.parametrize("micro_tokens", [1024, 4096])
@pytest.mark.parametrize("arch", archs())
def test_the_peak_is_within_fifteen_percent_of_the_formula(
    cell: Cell, data: Path, arch: str, micro_tokens: int
) -> None:
    cell = replace(
        cell, arch=arch, size="300k", context=256, batch_tokens=4096, tokens=8192, vocab_size=139
    )
    formula = peak_bytes(cell, micro_tokens, world=1)
    assert measured(cell, data, micro_tokens) == pytest.approx(formula, rel=0.15)


def test_several_workers_keep_the_gradients_twice_and_share_the_batch(cell: Cell) -> None:
    counts = cell.rung.counts
    alone, shared = (peak_bytes(cell, 10**6, world) for world in (1, 2))
    activations = 4 * cell.rung.activations_per_token * cell.batch_tokens
    assert alone - shared == activations / 2 - 4 * (counts.n_params + counts.embedding)
