"""A cell's losses by piece: whole, small, and what its record was summed from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.store.flat import open_split
from data.store.location import Location
from data.store.versioned import VersionError
from tests.conftest import CELL
from tests.trainers.test_loop import ALONE
from trainers import loop
from trainers.losses import Losses, losses_path, read_losses, write_losses


def made(pieces: int, seed: int = 0) -> Losses:
    """As folk tunes have them."""
    generator = np.random.default_rng(seed)
    tokens = generator.integers(60, 400, size=pieces)
    nats = tokens * generator.normal(1.4, 0.2, size=pieces)
    return Losses(nats, tokens, tokens // 2, tokens / 8, np.arange(pieces) // 2)


def test_what_is_read_is_what_was_written_to_single_precision(tmp_path: Path) -> None:
    cell, written = Location.of(tmp_path), {"val": made(30), "test": made(20, seed=1)}
    write_losses(cell, written)
    found = read_losses(cell)
    assert list(found) == ["val", "test"]
    for split, losses in written.items():
        for column, values in vars(losses).items():
            assert getattr(found[split], column) == pytest.approx(values, rel=1e-7), column
    assert [path.name for path in tmp_path.iterdir()] == ["losses.parquet"]


def test_the_sums_are_the_losses_of_the_record(packed: Path, tmp_path: Path) -> None:
    cell = Location.of(tmp_path)
    measured = loop.train(
        CELL,
        packed,
        ALONE,
        prepare=lambda model, *_: (model, {}),
        restore=lambda: None,
        save=lambda state: None,
        keep=lambda losses: write_losses(cell, losses),
        report=lambda points: None,
        stop=lambda: False,
        micro_tokens=10**6,
        checkpoint_seconds=1e9,
    )
    for name, losses in read_losses(cell).items():
        split = open_split(packed, name)
        assert losses.tokens.tolist() == (np.diff(split.starts) - 1).tolist()
        nats = losses.nats.sum(dtype=float)
        assert nats / losses.tokens.sum() == pytest.approx(measured[f"{name}_loss"], rel=1e-6)
        per_note = measured[f"{name}_loss_per_note"]
        assert nats / losses.notes.sum() == pytest.approx(per_note, rel=1e-6)
        per_second = measured[f"{name}_loss_per_second"]
        assert nats / losses.seconds.sum(dtype=float) == pytest.approx(per_second, rel=1e-6)


def test_a_piece_takes_few_bytes(tmp_path: Path) -> None:
    write_losses(Location.of(tmp_path), {"val": made(5_000), "test": made(5_000, seed=1)})
    assert (tmp_path / "losses.parquet").stat().st_size < 16 * 10_000


def test_a_cell_of_a_version_that_kept_none_has_none(tmp_path: Path) -> None:
    assert read_losses(Location.of(tmp_path)) == {}


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "losses.parquet").write_bytes(b"PAR1 and half of what was to come")
    with pytest.raises(VersionError, match=r"^.*/losses.parquet: found no Parquet; remove .*$"):
        read_losses(Location.of(tmp_path))


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    cell = Location.of(tmp_path)
    write_losses(cell, {"val": made(3)})
    path = losses_path(cell)
    table = pq.read_table(path.path).replace_schema_metadata({"schema": "2"})
    pq.write_table(table, path.path)
    with pytest.raises(VersionError, match=r"losses.parquet: found schema 2, expected at most 1"):
        read_losses(cell)


def columns(path: str) -> dict[str, pa.ChunkedArray]:
    table = pq.read_table(path)
    return {name: table[name] for name in table.column_names}


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: {name: found[name] for name in found if name != "nats"},
        lambda found: found | {"nats": pa.array(["a", "b", "c"])},
        lambda found: found | {"nats": pa.array([1.0, None, 2.0], pa.float32())},
    ],
    ids=["missing", "text", "gaps"],
)
def test_a_column_that_is_not_as_it_should_be_is_named(
    damage: Callable[[dict[str, Any]], dict[str, Any]], tmp_path: Path
) -> None:
    cell = Location.of(tmp_path)
    write_losses(cell, {"val": made(3)})
    path = losses_path(cell).path
    pq.write_table(pa.table(damage(columns(path)), metadata={"schema": "1"}), path)
    with pytest.raises(VersionError, match=r"losses.parquet: found no nats of each piece; remove"):
        read_losses(cell)


def test_a_schema_that_is_no_text_is_refused(tmp_path: Path) -> None:
    cell = Location.of(tmp_path)
    write_losses(cell, {"val": made(3)})
    path = losses_path(cell).path
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"schema": b"\xff"}), path)
    with pytest.raises(VersionError, match=r"losses.parquet: found schema '.', expected"):
        read_losses(cell)
