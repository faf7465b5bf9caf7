"""Which pieces of staged parts are kept, and in which group and split each of them belongs."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pyarrow as pa

from data.errors import DataError
from data.parts import Placed, rejected_path
from data.store.location import Location
from data.store.tables import read_table
from data.works import versions
from data.works.named import works_of
from data.works.signatures import BINS
from data.works.splits import split_groups


def place(
    staged: list[Location], works: str
) -> tuple[list[Placed], dict[str, float], list[dict[str, str]]]:
    """Group the pieces and split the groups; of exact duplicates, the first path is kept.

    works: a regular expression; files whose paths contain the same match belong to one work.
    Returns the place of every row of each part, the thresholds of the splits, and the duplicates as
    rejected rows.
    """
    columns = ["piece_id", "path", "maps", "num_tokens"]
    tables = [read_table(part, columns) for part in staged]
    table = pa.concat_tables(tables)
    paths, ids, maps = (table[name].to_pylist() for name in ("path", "piece_id", "maps"))
    lengths = table["num_tokens"].to_numpy()
    kept: dict[str, int] = {}
    rejected = []
    for row in sorted(range(len(ids)), key=paths.__getitem__):
        if ids[row] in kept:
            first = kept[ids[row]]
            detail = f"the notes of {paths[first]}"
            if maps[row] != maps[first]:
                detail += ", in another meter, key or tempo"
            rejected.append({"path": paths[row], "reason": "duplicate", "detail": detail})
        else:
            kept[ids[row]] = row
    if not kept:
        reasons = Counter(
            reason
            for part in staged
            for reason in read_table(rejected_path(part), ["reason"])["reason"].to_pylist()
        )
        said = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
        raise DataError(f"of the source's files ({said or 'there are none'}) no piece is left")
    piece_ids = sorted(kept)
    rows = [kept[piece_id] for piece_id in piece_ids]
    named = works_of([paths[row] for row in rows], works)
    group_ids = versions.group(piece_ids, _signatures(staged, rows), named)
    groups: dict[str, tuple[int, int]] = {}
    for row, group_id in zip(rows, group_ids):
        pieces, tokens = groups.get(group_id, (0, 0))
        groups[group_id] = (pieces + 1, tokens + int(lengths[row]))
    splits, thresholds = split_groups(groups)
    placed: Placed = [None] * len(ids)
    for row, group_id in zip(rows, group_ids):
        placed[row] = (group_id, splits[group_id])
    of_all = iter(placed)
    return [list(islice(of_all, len(part))) for part in tables], thresholds, rejected


def _signatures(staged: list[Location], rows: list[int]) -> np.ndarray:
    """(rows, BINS) uint16: the signatures of these rows, counted through all parts.

    Only one part at a time is in memory.
    """
    found = np.empty((len(rows), BINS), np.uint16)
    wanted = np.array(rows)
    first = 0
    for part in staged:
        column = read_table(part, ["signature"])["signature"].combine_chunks()
        mine = column.flatten().to_numpy().reshape(len(column), BINS)
        here = np.flatnonzero((first <= wanted) & (wanted < first + len(column)))
        found[here] = mine[wanted[here] - first]
        first += len(column)
    return found
