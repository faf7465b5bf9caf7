"""Parquet parts, one a shard: staged with what grouping needs, placed in splits, finished.

A part is written aside and renamed: where it stands, it is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from data.crashes import begin, fatal_files
from data.music.files import parse
from data.music.filters import Filters
from data.music.quantise import Midi, quantise_all
from data.music.score import Score, ScoreError
from data.sources.containers import Refused, Shard
from data.store.location import Location
from data.store.tables import Rows, row_groups, write_rows
from data.tokens.pieces import cut
from data.tokens.protocol import Tokenizer
from data.works.signatures import signature

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
