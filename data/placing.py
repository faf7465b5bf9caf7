"""Which pieces of staged parts are kept, and in which group and split each of them belongs.

All pieces are looked at together, but by a task: what it decides lies beside the staged parts, so
that whoever started it holds nothing for each piece. Beside the pieces of a data set that is there
already, which are settled, the staged ones find their places, and no settled one moves.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError
from data.parts import PART, PLACED, REJECTED, placed_path, rejected_path
from data.sources.facts import FACTS, Facts, Table, facts_by
from data.store.flat import SPLITS
from data.store.location import Location
from data.store.scratch import scratch
from data.store.tables import read_table, write_table
from data.works import versions
from data.works.components import joined
from data.works.named import first_of_work, works_of
from data.works.settled import Torn, linked_in, several, without_bridges
from data.works.signatures import BINS
from data.works.splits import split_by, split_groups

LEFT_OUT = "left-out.parquet"
TWO_SPLITS = "two_splits"
"""The reason why a piece is left out that is a version of works in different splits."""

_STAGED = ["piece_id", "path", "maps", "num_tokens"]
_SETTLED = [*_STAGED, "named", *FACTS, "group_id", "split"]
_PIECES = pa.schema([PART.field(name) for name in _SETTLED])


@dataclass(frozen=True)
class Settled:
    """The pieces of a data set to which others are added."""

    parts: tuple[Location, ...]
    thresholds: dict[str, float]
    """Of its splits."""


@dataclass(frozen=True)
class Naming:
    """What is known of pieces beside their notes."""

    works: str = ""
    """A regular expression; files whose paths contain the same match belong to one work."""
    table: Table | None = None
    """Files with the same work and composer in it belong to one work as well."""
    licence: str = ""
    """Of pieces of which the table has none."""


def place(
    staged: list[Location], naming: Naming, settled: Settled | None = None
) -> dict[str, float]:
    """Group the pieces and split the groups; of exact duplicates, the first path is kept.

    A piece that is linked with settled ones joins their split and the group of the first of them;
    it is left out if they are in several splits. Writes the place of every row of each staged part
    to `placed_path`, and those that are left out, as rejected rows, to `LEFT_OUT` beside it.
    Returns the thresholds of the splits. Raises DataError if no piece is staged, and OSError for a
    full disk.
    """
    parts = [*(settled.parts if settled else ()), *staged]
    tables = [read_table(part, _SETTLED).select(_SETTLED) for part in parts[: -len(staged)]]
    begin = sum(map(len, tables))
    facts = facts_by(naming.table)
    tables += [_told(part, naming, facts) for part in staged]
    pieces = pa.concat_tables(tables)
    if len(pieces) == begin:
        raise DataError(f"of the source's files ({_reasons(staged)}) no piece is left")
    chosen, duplicates = _distinct(pieces, begin)
    kept = pieces.take(chosen)
    number = np.full(len(pieces), -1, np.int32)
    number[chosen] = np.arange(len(chosen))
    numbers = np.split(number, np.cumsum([len(table) for table in tables])[:-1])
    del pieces, tables

    known = first_of_work(kept["named"].to_pylist())
    for names in (_works(kept), kept["group_id"].fill_null("").to_pylist()):
        known = joined(known, np.arange(len(known)), first_of_work(names))
    signatures, threads = _signatures(parts, numbers), os.cpu_count() or 1
    root = versions.group(signatures, known, threads)
    split_of = pc.index_in(kept["split"], pa.array(SPLITS)).fill_null(-1).to_numpy()
    linked = linked_in(root, split_of, len(SPLITS))
    if len(among := np.flatnonzero(several(linked))):
        within = np.full(len(kept), -1, np.int32)
        within[among] = np.arange(len(among))
        whole = _signatures(parts, [np.where(mine < 0, -1, within[mine]) for mine in numbers])
        alone = Torn(whole, signatures[among], known[among], root[among], split_of[among])
        new_root, new_linked = without_bridges(alone, len(SPLITS), threads)
        root[among] = among[new_root]
        linked[:, among] = np.where(new_linked < 0, -1, among[new_linked])
    torn = several(linked)
    beside = linked.max(axis=0)
    group_ids, splits, thresholds = _own(kept, root, settled.thresholds if settled else None)
    joins = pa.array(beside, mask=beside < 0)
    group_ids = pc.coalesce(kept["group_id"].combine_chunks().take(joins), group_ids)
    splits = pc.coalesce(kept["split"].combine_chunks().take(joins), splits)

    for part, mine in zip(staged, numbers[-len(staged) :]):
        at = pa.array(mine, mask=(mine < 0) | torn[mine])
        told = kept.select(["named", *FACTS]).take(at).columns
        placed = pa.table([group_ids.take(at), splits.take(at), *told], schema=PLACED)
        write_table(placed_path(part), placed)
    left_out = pa.concat_tables([duplicates, _torn(kept, linked, torn & (split_of < 0))])
    write_table(staged[0].parent / LEFT_OUT, left_out)
    return thresholds


def _told(part: Location, naming: Naming, facts: Facts) -> pa.Table:
    """The pieces of a staged part, with the columns of settled ones."""
    pieces = read_table(part, _STAGED)
    paths = pieces["path"].to_pylist()
    told = list(map(facts, paths))
    columns: dict[str, Any] = {name: pieces[name] for name in _STAGED}
    columns |= {name: [each[at] for each in told] for at, name in enumerate(FACTS)}
    columns["licence"] = [licence or naming.licence for licence in columns["licence"]]
    columns["named"] = works_of(paths, naming.works)
    columns["group_id"] = columns["split"] = pa.nulls(len(paths), pa.string())
    return pa.table(columns, _PIECES)


def _works(pieces: pa.Table) -> list[str]:
    """The work of each row, beside its composer: many wrote a Sonata in C; "" for none."""
    named = zip(pieces["composer"].to_pylist(), pieces["work"].to_pylist())
    return [f"{composer}\n{work}" if work else "" for composer, work in named]


def _reasons(staged: Sequence[Location]) -> str:
    reasons: Counter[str] = Counter()
    for part in staged:
        reasons.update(read_table(rejected_path(part), ["reason"])["reason"].to_pylist())
    said = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
    return said or "there are none"


def _distinct(pieces: pa.Table, begin: int) -> tuple[np.ndarray, pa.Table]:
    """The rows that are kept, in order of `piece_id`, and the others as rejected rows.

    begin: the number of settled rows, which come first, and are kept.
    """
    added = pa.array(np.arange(len(pieces)) >= begin)
    keys = pa.table({"added": added, "path": pieces["path"]})
    by_path = pc.sort_indices(keys, [("added", "ascending"), ("path", "ascending")])
    ids = pieces["piece_id"].take(by_path).combine_chunks().dictionary_encode()
    piece, by_path = ids.indices.to_numpy(), by_path.to_numpy()
    first = np.unique(piece, return_index=True)[1]
    rows = by_path[first]
    again = np.ones(len(piece), bool)
    again[first] = False
    left_out, instead = pieces.take(by_path[again]), pieces.take(rows[piece[again]])
    differs = pc.if_else(
        pc.equal(left_out["maps"], instead["maps"]), "", ", in another meter, key or tempo"
    )
    detail = pc.binary_join_element_wise("the notes of ", instead["path"], differs, "")
    reason = pa.array(["duplicate"] * len(left_out))
    duplicates = pa.table([left_out["path"], reason, detail], schema=REJECTED)
    order = pc.sort_indices(ids.dictionary).to_numpy()
    return rows[order], duplicates


def _signatures(parts: Sequence[Location], numbers: list[np.ndarray]) -> np.ndarray:
    """(pieces, BINS) uint16, on disk. numbers: of each row of each part, its piece, or -1."""
    found = scratch((1 + max(int(mine.max(initial=-1)) for mine in numbers), BINS), np.uint16)
    for part, mine in zip(parts, numbers):
        column = read_table(part, ["signature"])["signature"].combine_chunks()
        signatures = column.flatten().to_numpy().reshape(len(column), BINS)
        found[mine[mine >= 0]] = signatures[mine >= 0]
    return found


def _own(
    pieces: pa.Table, root: np.ndarray, thresholds: dict[str, float] | None
) -> tuple[pa.Array, pa.Array, dict[str, float]]:
    """The group and split of each piece by its notes alone, and the thresholds.

    thresholds: those to go by; None to find some.
    """
    ids, count = pieces["piece_id"].combine_chunks(), np.bincount(root)
    first = np.flatnonzero(count)
    names = ids.take(pa.array(first))
    if thresholds is None:
        tokens = np.bincount(root, pieces["num_tokens"].to_numpy())[first].astype(np.int64)
        splits, thresholds = split_groups(names, count[first], tokens)
    else:
        splits = split_by(names, thresholds)
    split = np.zeros(len(count), splits.dtype)
    split[first] = splits
    return ids.take(pa.array(root)), pa.array(split[root], pa.string()), thresholds


def _torn(pieces: pa.Table, linked: np.ndarray, torn: np.ndarray) -> pa.Table:
    """The added pieces that are linked with works in several splits, as rejected rows."""
    at = np.flatnonzero(torn)
    details = []
    for links in linked[:, at].T.tolist():
        works = [f"{pieces['path'][one]} in {name}" for one, name in zip(links, SPLITS) if one >= 0]
        details.append(f"a version of {' and of '.join(works)}")
    paths = pieces["path"].take(pa.array(at))
    rows = {"path": paths, "reason": [TWO_SPLITS] * len(at), "detail": details}
    return pa.table(rows, REJECTED)
