"""Parquet parts, one a shard: staged with what grouping needs, placed in splits, finished.

A part is written aside and renamed: where it stands, it is whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data import versions
from data.crashes import begin, fatal_files
from data.cuts import cut
from data.filters import Filters
from data.packed import DataError
from data.score import Midi, Score, ScoreError, parse, quantise_all
from data.signatures import BINS, signature
from data.sources import Refused, Shard
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
        ("num_tokens", pa.int32()),
        ("tokens", pa.list_(pa.uint16())),
        ("abc", pa.string()),
    ]
)
REJECTED = pa.schema([("path", pa.string()), ("reason", pa.string()), ("detail", pa.string())])
# What grouping needs and the data set does not; `mended` is JSON, count by rule; `maps` is a hash
# of tempos, meters and keys.
STAGED = pa.schema(
    [
        *PIECE,
        ("signature", pa.list_(pa.uint16())),
        ("maps", pa.string()),
        ("mended", pa.string()),
    ]
)


BATCH_NOTES = 16_384
"""Notes that are quantised and written at once: many small pieces, within the cache."""
GROUP_ROWS = 256
"""Pieces to a row group: all that is held of a part at a time."""


@dataclass(frozen=True)
class Wish:
    """What pieces are to be made of files; the tokenizer is that of the text, without BPE."""

    source: str
    tokenizer: Tokenizer
    filters: Filters
    max_tokens: int | None
    """Longer pieces are cut at bar lines."""


def stage(shard: Shard, part: Location, wish: Wish, run: str) -> None:
    """A shard's pieces to one Parquet part, and beside it what was rejected.

    May be killed at any moment, also by one of its files, and is then simply called again.
    run: names the present run.
    """
    rejected: list[dict[str, str]] = []
    mark = part.parent / f"{part.name}.begun"
    fatal = fatal_files(shard, wish.tokenizer) if begin(mark, run) else {}

    def reject(path: str, reason: str, detail: str) -> None:
        rejected.append({"path": path, "reason": reason, "detail": detail})

    # Read once and thrown away: LZ4 is quicker than zstd.
    with part.writing() as file, Rows(file, STAGED, "lz4") as rows:
        for batch in batches(parsed(shard, fatal, reject)):
            rows.write(_pieces(batch, wish, reject))
        # The part comes last: where it stands, its rejected files are known, too.
        write_rows(rejected_path(part), rejected, REJECTED)
    mark.delete()


Reject = Callable[[str, str, str], None]
"""Called with path, reason, detail."""
Parsed = tuple[str, Midi]


def parsed(shard: Shard, fatal: dict[str, str], reject: Reject) -> Iterator[Parsed]:
    for path, content in shard.read():
        if isinstance(content, Refused):
            reject(path, content.reason, content.detail)
        elif path in fatal:
            reject(path, "crash", fatal[path])
        else:
            try:
                yield path, parse(content)
            except ScoreError as error:
                reject(path, "unreadable", str(error))


def batches(files: Iterable[Parsed]) -> Iterator[list[Parsed]]:
    batch: list[Parsed] = []
    notes = 0
    for file in files:
        batch.append(file)
        notes += file[1].score.note_num()
        if notes >= BATCH_NOTES:
            yield batch
            batch, notes = [], 0
    if batch:
        yield batch


def _pieces(batch: list[Parsed], wish: Wish, reject: Reject) -> Iterator[dict[str, Any]]:
    tokenizer = wish.tokenizer
    scores = quantise_all([midi for _, midi in batch], tokenizer.ticks_per_quarter)
    kept = []
    for (path, _), score in zip(batch, scores):
        if met := wish.filters.met(score):
            reject(path, *met)
        else:
            kept.append((path, score))
    for (path, score), tokens in zip(kept, tokenizer.encode_all([score for _, score in kept])):
        # Parts of a piece have the signature of the whole, and so its group.
        sketch = signature(score)
        if wish.max_tokens is None or len(tokens) <= wish.max_tokens:
            yield _row(path, score, tokens, sketch, score.mended, wish)
            continue
        parts = cut(score, tokens, tokenizer, wish.max_tokens)
        if not parts:
            reject(path, "uncuttable", f"no bar has less than {wish.max_tokens:,} tokens")
        for number, part in enumerate(parts):
            mended = {} if number else score.mended | {"cut": len(parts) - 1}
            name = f"{path}#bar{part.first_bar}"
            yield _row(name, part.score, part.tokens, sketch, mended, wish)


def _row(
    path: str,
    score: Score,
    tokens: np.ndarray,
    sketch: np.ndarray,
    mended: dict[str, int],
    wish: Wish,
) -> dict[str, Any]:
    maps = repr((score.tempos, score.meters, score.keys)).encode()
    return {
        "piece_id": hashlib.sha256(score.canonical()).hexdigest()[:32],
        "group_id": "",
        "source": wish.source,
        "path": path,
        "split": "",
        "num_notes": len(score),
        "num_bars": len(score.bars) - 1,
        "seconds": score.seconds,
        "num_tracks": int(score.track[-1]) + 1,
        "tokens": tokens,
        "num_tokens": len(tokens),
        "abc": wish.tokenizer.to_text(tokens),
        "signature": sketch,
        "maps": hashlib.sha256(maps).hexdigest()[:16],
        "mended": json.dumps(mended),
    }


Placed = list[tuple[str, str] | None]
"""group_id and split of each row of a staged part; None for an exact duplicate."""


def place(
    staged: list[Location], works: str
) -> tuple[list[Placed], dict[str, float], list[dict[str, str]]]:
    """Group the pieces and split the groups; of exact duplicates, the first path is kept.

    works: a regular expression; files whose paths hold the same match are of one work.
    Returns where the rows of each part come, the thresholds of the splits, and the duplicates as
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
    matches = [re.search(works, paths[row]) if works else None for row in rows]
    group_ids = versions.group(
        piece_ids, _signatures(staged, rows), [match[0] if match else "" for match in matches]
    )
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
    """(rows, BINS) uint16 of those rows of all parts, one part at a time in memory."""
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


def finish(
    staged: Location, part: Location, placed: Placed, shorten: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The staged pieces that are kept, with their groups and splits, without the scaffolding.

    shorten: from the staged tokens to those that are trained on.
    """
    places = iter(placed)
    with part.writing() as file, Rows(file, PIECE) as rows:
        for group in row_groups(staged, PIECE.names):
            kept = []
            for row, placing in zip(group, places):
                if placing:
                    group_id, split = placing
                    tokens = shorten(row["tokens"])
                    decided = {"group_id": group_id, "split": split}
                    kept.append(row | decided | {"tokens": tokens, "num_tokens": len(tokens)})
            rows.write(kept)


def rejected_path(part: Location) -> Location:
    """Where the rejected files of a part are listed, with their reasons."""
    return part.parent / part.name.replace("part-", "rejected-")


def read_table(path: Location, columns: list[str] | None = None, filters: Any = None) -> pa.Table:
    return pq.read_table(path.path, columns=columns, filters=filters, filesystem=path.filesystem)


def row_groups(path: Location, columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a Parquet file, some at a time."""
    with pq.ParquetFile(path.path, filesystem=path.filesystem) as file:
        for batch in file.iter_batches(GROUP_ROWS, columns=columns):
            others = batch.drop_columns("tokens").to_pylist()
            yield [
                row | {"tokens": tokens.values.to_numpy()}
                for row, tokens in zip(others, batch["tokens"])
            ]


class Rows:
    """Writes a Parquet file some rows at a time, in groups of `GROUP_ROWS`."""

    def __init__(self, file: Path, schema: pa.Schema, compression: str = "zstd") -> None:
        self.schema = schema
        self.waiting: list[dict[str, Any]] = []
        # No two pieces are alike: dictionaries cost time and save nothing.
        self.writer = pq.ParquetWriter(file, schema, compression=compression, use_dictionary=False)

    def __enter__(self) -> Rows:
        return self

    def write(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            self.waiting.append(row)
            if len(self.waiting) == GROUP_ROWS:
                self._flush()

    def _flush(self) -> None:
        self.writer.write_table(pa.Table.from_pylist(self.waiting, schema=self.schema))
        self.waiting.clear()

    def __exit__(self, *_: object) -> None:
        self._flush()
        self.writer.close()


def write_rows(path: Location, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """A Parquet file, whole or absent."""
    with path.writing() as file, Rows(file, schema) as all_rows:
        all_rows.write(rows)
