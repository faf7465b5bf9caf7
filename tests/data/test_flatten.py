"""What is packed: the tokens of each split in order of `piece_id`, however many threads wrote."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data import flatten as flattening
from data.abc.tokenizer import AbcTokenizer
from data.flatten import flatten
from data.parts import PART
from data.store.flat import PACKED, SPLITS, open_split
from data.store.location import Location
from data.store.tables import GROUP_ROWS, table_groups, write_rows

ROWS = 3 * GROUP_ROWS + 7


def row(piece_id: str, split: str, tokens: list[int]) -> dict[str, Any]:
    texts = {name: "" for name in PART.names if str(PART.field(name).type) == "string"}
    counts = {"num_notes": 1, "num_bars": 1, "seconds": 1.0, "num_tracks": 1}
    own = {"piece_id": piece_id, "group_id": piece_id, "split": split, "tokens": tokens}
    return texts | counts | own | {"num_tokens": len(tokens), "signature": []}


def write_parts(folder: Location) -> tuple[list[Location], list[dict[str, Any]]]:
    """Five parts, one of them empty, whose pieces lie among each other's; and all their rows."""
    rng = np.random.default_rng(1)
    parts, every = [], []
    for number, count in enumerate((ROWS, 5, 0, ROWS, 1)):
        rows = [
            row(
                hashlib.sha256(f"{number} {at}".encode()).hexdigest()[:32],
                str(rng.choice(SPLITS, p=[0.8, 0.1, 0.1])),
                rng.integers(0, 2**16, rng.integers(1, 400)).tolist(),
            )
            for at in range(count)
        ]
        parts.append(folder / "parts" / f"part-{number:05d}.parquet")
        write_rows(parts[-1], rows, PART)
        every += rows
    return parts, sorted(every, key=lambda each: each["piece_id"])


@pytest.mark.parametrize("threads", [1, 8])
def test_tokens_lie_end_to_end_in_order_of_their_pieces(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    parts, every = write_parts(Location.of(tmp_path))
    counts, fingerprint = flatten(Location.of(tmp_path), parts, AbcTokenizer(24))
    digest = hashlib.sha256(AbcTokenizer(24).to_json().encode())
    for name in SPLITS:
        mine = [np.array(each["tokens"], np.uint16) for each in every if each["split"] == name]
        split = open_split(tmp_path, name)
        assert split.tokens.tobytes() == np.concatenate(mine).tobytes()
        assert np.diff(split.starts).tolist() == list(map(len, mine))
        assert counts[name]["pieces"] == len(mine)
        digest.update(np.concatenate(mine).tobytes() + split.starts.tobytes())
    assert fingerprint == digest.hexdigest()[:16]


def test_what_a_thread_raises_is_raised_and_leaves_no_tokens_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(part: Location, columns: list[str]) -> Iterator[pa.Table]:
        if part == parts[1]:
            raise FileNotFoundError(errno.ENOENT, "gone", str(part))
        return table_groups(part, columns)

    parts, _ = write_parts(Location.of(tmp_path))
    monkeypatch.setattr(flattening, "table_groups", gone)
    with pytest.raises(FileNotFoundError, match="part-00001"):
        flatten(Location.of(tmp_path), parts, AbcTokenizer(24))
    assert not list((tmp_path / PACKED).glob("*tokens*"))
