"""Parquet parts, one a shard: staged with what grouping needs, placed in splits, finished.

A part is written aside and renamed: where it stands, it is whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import symusic

from data import versions
from data.crashes import begin, fatal_files
from data.packed import DataError
from data.score import Score, ScoreError, parse, quantise_all
from data.sources import Shard
from data.splits import split_groups
from data.storage import Location
from data.tokenizers import Tokenizer

PIECE = pa.schema(
    [
        ("piece_id", pa.string()),
        ("group_id", pa.string()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("split", pa.string()),
        ("num_notes", pa.int32()),
        ("num_bars", pa.int32()),
        ("seconds", pa.float64()),
        ("num_tracks", pa.int32()),
        ("tokens", pa.list_(pa.uint16())),
        ("abc", pa.string()),
    ]
)
REJECTED = pa.schema([("path", pa.string()), ("reason", pa.string()), ("detail", pa.string())])
# What grouping needs and the data set does not; `mended` is JSON, count by rule.
STAGED = pa.schema([*PIECE, ("signature", pa.list_(pa.uint32())), ("mended", pa.string())])


BATCH_NOTES = 16_384
"""Notes that are quantised and written at once: many small pieces, within the cache."""


def stage(shard: Shard, part: Location, source: str, tokenizer: Tokenizer, run: str) -> None:
    """A shard's pieces to one Parquet part, and beside it what was rejected.

    May be killed at any moment, also by one of its files, and is then simply called again.
    run: names the present run.
    """
    pieces: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    mark = part.parent / f"{part.name}.begun"
    fatal = fatal_files(shard, tokenizer) if begin(mark, run) else {}
    waiting: list[tuple[str, symusic.Score]] = []
    notes = 0

    def flush() -> None:
        scores = quantise_all([midi for _, midi in waiting], tokenizer.ticks_per_quarter)
        for (path, _), score, tokens in zip(waiting, scores, tokenizer.encode_all(scores)):
            pieces.append(_piece(score, path, source, tokens, tokenizer))
        waiting.clear()

    for path, data in shard.read():
        if path in fatal:
            rejected.append({"path": path, "reason": "crash", "detail": fatal[path]})
            continue
        try:
            waiting.append((path, parse(data)))
        except ScoreError as error:
            rejected.append({"path": path, "reason": "unreadable", "detail": str(error)})
            continue
        notes += waiting[-1][1].note_num()
        if notes > BATCH_NOTES:
            flush()
            notes = 0
    flush()
    # The part comes last: where it stands, its rejected files are known, too.
    write_rows(rejected_path(part), rejected, REJECTED)
    write_rows(part, pieces, STAGED)
    mark.delete()


def _piece(
    score: Score, path: str, source: str, tokens: np.ndarray, tokenizer: Tokenizer
) -> dict[str, Any]:
    return {
        "piece_id": hashlib.sha256(score.canonical()).hexdigest()[:32],
        "group_id": "",
        "source": source,
        "path": path,
        "split": "",
        "num_notes": len(score),
        "num_bars": len(score.bars) - 1,
        "seconds": score.seconds,
        "num_tracks": int(score.track[-1]) + 1,
        "tokens": tokens,
        "abc": tokenizer.to_text(tokens),
        "signature": versions.signature(score),
        "mended": json.dumps(score.mended),
    }


Placed = dict[str, tuple[str, str, str]]
"""piece_id -> the path that is kept of it, its group_id, its split."""


def place(
    staged: list[Location], works: str
) -> tuple[Placed, dict[str, float], list[dict[str, str]]]:
    """Group the pieces and split the groups; of exact duplicates, the first path is kept.

    works: a regular expression; files whose paths hold the same match are of one work.
    Returns the places, the thresholds of the splits, and the duplicates as rejected rows.
    """
    columns = ["piece_id", "path", "signature", "tokens"]
    table = pa.concat_tables([read_table(part, columns) for part in staged])
    paths, ids = table["path"].to_pylist(), table["piece_id"].to_pylist()
    lengths = table["tokens"].combine_chunks().value_lengths().to_numpy()
    kept: dict[str, int] = {}
    rejected = []
    for row in sorted(range(len(ids)), key=paths.__getitem__):
        if ids[row] in kept:
            detail = f"the notes of {paths[kept[ids[row]]]}"
            rejected.append({"path": paths[row], "reason": "duplicate", "detail": detail})
        else:
            kept[ids[row]] = row
    if not kept:
        raise DataError("no file of the source could be read; see staging/rejected-*.parquet")
    piece_ids = sorted(kept)
    rows = [kept[piece_id] for piece_id in piece_ids]
    signatures = table["signature"].combine_chunks().flatten().to_numpy()
    signatures = signatures.reshape(len(ids), versions.PERMUTATIONS)[rows]
    matches = [re.search(works, paths[row]) if works else None for row in rows]
    group_ids = versions.group(
        piece_ids, signatures, [match[0] if match else "" for match in matches]
    )
    groups: dict[str, tuple[int, int]] = {}
    for row, group_id in zip(rows, group_ids):
        pieces, tokens = groups.get(group_id, (0, 0))
        groups[group_id] = (pieces + 1, tokens + int(lengths[row]))
    splits, thresholds = split_groups(groups)
    placed = {
        piece_id: (paths[row], group_id, splits[group_id])
        for piece_id, row, group_id in zip(piece_ids, rows, group_ids)
    }
    return placed, thresholds, rejected


def finish(staged: Location, part: Location, placed: Placed) -> None:
    """The staged pieces that are kept, with their groups and splits, without the scaffolding."""
    rows = []
    for row in read_table(staged, PIECE.names).to_pylist():
        path, group_id, split = placed[row["piece_id"]]
        if row["path"] == path:
            rows.append(row | {"group_id": group_id, "split": split})
    write_rows(part, rows, PIECE)


def rejected_path(part: Location) -> Location:
    """Where the rejected files of a part are listed, with their reasons."""
    return part.parent / part.name.replace("part-", "rejected-")


def read_table(path: Location, columns: list[str] | None = None, filters: Any = None) -> pa.Table:
    return pq.read_table(path.path, columns=columns, filters=filters, filesystem=path.filesystem)


def write_rows(path: Location, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """A Parquet file, whole or absent."""
    with path.writing() as file:
        table = pa.Table.from_pylist(rows, schema=schema)
        # No two pieces are alike: dictionaries cost time and save nothing.
        pq.write_table(table, file, compression="zstd", use_dictionary=False)
