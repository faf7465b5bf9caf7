"""Which pieces of staged parts are kept, and in which group and split each of them belongs.

All pieces are looked at together, but by a task: what it decides lies beside the staged parts, so
that whoever started it holds nothing for each piece.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError
from data.parts import PLACED, REJECTED, placed_path, rejected_path
from data.sources.facts import FACTS, Table, facts_of
from data.store.location import Location
from data.store.scratch import scratch
from data.store.tables import read_table, write_table
from data.works import versions
from data.works.components import joined
from data.works.named import first_of_work, works_of
from data.works.signatures import BINS
from data.works.splits import split_groups

DUPLICATES = "duplicates.parquet"


def place(
    staged: list[Location], works: str, table: Table | None, licence: str
) -> dict[str, float]:
    """Group the pieces and split the groups; of exact duplicates, the first path is kept.

    works: a regular expression; files whose paths contain the same match belong to one work, and so
    do those of which the table, if there is one, has the same work and composer. licence: of pieces
    of which it has none. Writes the place of every row of each part to `placed_path`, and the
    duplicates, as rejected rows, to `DUPLICATES` beside it. Returns the thresholds of the splits.
    Raises DataError if no piece is left, and OSError for a full disk.
    """
    columns = ["piece_id", "path", "maps", "num_tokens"]
    tables = [read_table(part, columns) for part in staged]
    pieces = pa.concat_tables(tables)
    if not len(pieces):
        raise DataError(f"of the source's files ({_reasons(staged)}) no piece is left")
    rows, duplicates = _distinct(pieces)
    write_table(staged[0].parent / DUPLICATES, duplicates)
    kept = pieces.take(rows)
    del pieces
    number = np.full(sum(map(len, tables)), -1, np.int32)
    number[rows] = np.arange(len(rows))
    sizes = [len(part) for part in tables]
    numbers = np.split(number, np.cumsum(sizes)[:-1])
    del tables

    paths = kept["path"].to_pylist()
    facts = _facts(paths, table, licence)
    known = first_of_work(works_of(paths, works))
    known = joined(known, np.arange(len(known)), first_of_work(_works(facts)))
    root = versions.group(_signatures(staged, numbers), known, os.cpu_count() or 1)
    count = np.bincount(root)
    first = np.flatnonzero(count)
    tokens = np.bincount(root, kept["num_tokens"].to_numpy())[first].astype(np.int64)
    ids = kept["piece_id"].combine_chunks()
    splits, thresholds = split_groups(ids.take(pa.array(first)), count[first], tokens)
    split = np.zeros(len(count), splits.dtype)
    split[first] = splits
    for part, mine in zip(staged, numbers):
        left_out = mine < 0
        group_ids = ids.take(pa.array(root[mine], mask=left_out))
        chosen = pa.array(split[root[mine]], pa.string(), mask=left_out)
        told = facts.take(pa.array(mine, mask=left_out)).columns
        write_table(placed_path(part), pa.table([group_ids, chosen, *told], schema=PLACED))
    return thresholds


def _facts(paths: list[str], table: Table | None, licence: str) -> pa.Table:
    """A row for each path, with the columns of `FACTS`."""
    told = facts_of(paths, table)
    columns = dict(zip(FACTS, map(list, zip(*told))))
    columns["licence"] = [each or licence for each in columns["licence"]]
    return pa.table(columns)


def _works(facts: pa.Table) -> list[str]:
    """The work of each row, beside its composer: many wrote a Sonata in C; "" for none."""
    named = zip(facts["composer"].to_pylist(), facts["work"].to_pylist())
    return [f"{composer}\n{work}" if work else "" for composer, work in named]


def _reasons(staged: list[Location]) -> str:
    reasons: Counter[str] = Counter()
    for part in staged:
        reasons.update(read_table(rejected_path(part), ["reason"])["reason"].to_pylist())
    said = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
    return said or "there are none"


def _distinct(table: pa.Table) -> tuple[np.ndarray, pa.Table]:
    """The rows that are kept, in order of `piece_id`, and the others as rejected rows."""
    by_path = pc.sort_indices(table["path"])
    ids = table["piece_id"].take(by_path).combine_chunks().dictionary_encode()
    piece, by_path = ids.indices.to_numpy(), by_path.to_numpy()
    first = np.unique(piece, return_index=True)[1]
    rows = by_path[first]
    again = np.ones(len(piece), bool)
    again[first] = False
    left_out, instead = table.take(by_path[again]), table.take(rows[piece[again]])
    differs = pc.if_else(
        pc.equal(left_out["maps"], instead["maps"]), "", ", in another meter, key or tempo"
    )
    detail = pc.binary_join_element_wise("the notes of ", instead["path"], differs, "")
    reason = pa.array(["duplicate"] * len(left_out))
    duplicates = pa.table([left_out["path"], reason, detail], schema=REJECTED)
    order = pc.sort_indices(ids.dictionary).to_numpy()
    return rows[order], duplicates


def _signatures(staged: list[Location], numbers: list[np.ndarray]) -> np.ndarray:
    """(pieces, BINS) uint16, on disk. numbers: of each row of each part, its piece, or -1."""
    found = scratch((1 + max(int(mine.max(initial=-1)) for mine in numbers), BINS), np.uint16)
    for part, mine in zip(staged, numbers):
        column = read_table(part, ["signature"])["signature"].combine_chunks()
        signatures = column.flatten().to_numpy().reshape(len(column), BINS)
        found[mine[mine >= 0]] = signatures[mine >= 0]
    return found
