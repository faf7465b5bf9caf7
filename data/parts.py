"""Parquet parts, one for each shard: first staged with what grouping needs, and later finished.

A part is written under another name and then renamed, so that a part which is there is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.crashes import begin, fatal_files
from data.music.files import parse
from data.music.filters import Filters
from data.music.quantise import Midi, quantise_all
from data.music.score import Score, ScoreError
from data.sources.containers import Shard
from data.sources.facts import FACTS
from data.sources.members import Refused
from data.store.location import Location
from data.store.tables import Rows, read_table, table_groups, write_rows
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
        *((name, pa.string()) for name in FACTS),
    ]
)
REJECTED = pa.schema([("path", pa.string()), ("reason", pa.string()), ("detail", pa.string())])
# With what grouping needs, and so whoever adds pieces later. `maps` is a hash of tempos, meters and
# keys; `named` is the work that the path names.
PART = pa.schema(
    [
        *PIECE,
        ("signature", pa.list_(pa.uint16())),
        ("maps", pa.string()),
        ("named", pa.string()),
    ]
)
# `mended` is JSON, a count by rule.
STAGED = pa.schema([*(field for field in PART if field.name != "named"), ("mended", pa.string())])
# Of each row of a staged part; without values for one that is left out.
PLACED = pa.schema([(name, pa.string()) for name in ("group_id", "split", "named", *FACTS)])

BATCH_NOTES = 16_384
"""How many notes are quantised and written together: many small pieces, within the cache."""


@dataclass(frozen=True)
class PieceSpec:
    """How pieces are made from files; the tokenizer is the one before merges (BPE)."""

    source: str
    tokenizer: Tokenizer
    filters: Filters
    max_tokens: int | None
    """Longer pieces are cut at bar lines."""


def stage(shard: Shard, part: Location, spec: PieceSpec, run: str) -> None:
    """Write the pieces of a shard to one Parquet part, and what was rejected beside it.

    It may be killed at any moment, even by one of its files, and is then simply called again.
    run: the name of this run.
    """
    rejected: list[dict[str, str]] = []
    mark = part.parent / f"{part.name}.begun"
    fatal = fatal_files(shard, spec.tokenizer) if begin(mark, run, shard.source) else {}

    def reject(path: str, reason: str, detail: str) -> None:
        rejected.append({"path": path, "reason": reason, "detail": detail})

    # It is read once and thrown away, and LZ4 is faster than zstd.
    with part.writing() as file, Rows(file, STAGED, "lz4") as rows:
        for batch in batches(parsed(shard, fatal, reject)):
            rows.write(_pieces(batch, spec, reject))
        # The part comes last: once it is there, its rejected files are known as well.
        write_rows(rejected_path(part), rejected, REJECTED)
    mark.delete()


Reject = Callable[[str, str, str], None]
"""Called with path, reason, detail."""
Parsed = tuple[str, Midi]


def parsed(shard: Shard, fatal: dict[str, str], reject: Reject) -> Iterator[Parsed]:
    """The files of a shard that can be read; fatal: reasons not to read a file, by path."""
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
    """Files in batches of at least `BATCH_NOTES` notes."""
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


def _pieces(batch: list[Parsed], spec: PieceSpec, reject: Reject) -> Iterator[dict[str, Any]]:
    tokenizer = spec.tokenizer
    scores = quantise_all([midi for _, midi in batch], tokenizer.ticks_per_quarter)
    kept = []
    for (path, _), score in zip(batch, scores):
        if met := spec.filters.met(score):
            reject(path, *met)
        else:
            kept.append((path, score))
    for (path, score), tokens in zip(kept, tokenizer.encode_all([score for _, score in kept])):
        # Sections of a piece have the signature of the whole, and so its group.
        sketch = signature(score)
        if spec.max_tokens is None or len(tokens) <= spec.max_tokens:
            yield _row(path, score, tokens, sketch, score.mended, spec)
            continue
        sections = cut(score, tokens, tokenizer, spec.max_tokens)
        if not sections:
            reject(path, "uncuttable", f"no bar has less than {spec.max_tokens:,} tokens")
        for number, section in enumerate(sections):
            mended = {} if number else score.mended | {"cut": len(sections) - 1}
            name = f"{path}#bar{section.first_bar}"
            yield _row(name, section.score, section.tokens, sketch, mended, spec)


def _row(
    path: str,
    score: Score,
    tokens: np.ndarray,
    sketch: np.ndarray,
    mended: dict[str, int],
    spec: PieceSpec,
) -> dict[str, Any]:
    maps = repr((score.tempos, score.meters, score.keys)).encode()
    return {
        "piece_id": hashlib.sha256(score.canonical()).hexdigest()[:32],
        "group_id": "",
        "source": spec.source,
        "path": path,
        "split": "",
        "num_notes": len(score),
        "num_bars": len(score.bars) - 1,
        "seconds": score.seconds,
        "num_tracks": int(score.track[-1]) + 1,
        "tokens": tokens,
        "num_tokens": len(tokens),
        "abc": spec.tokenizer.to_text(tokens),
        "signature": sketch,
        "maps": hashlib.sha256(maps).hexdigest()[:16],
        "mended": json.dumps(mended),
    }


def finish(
    staged: Location, part: Location, shorten: Callable[[np.ndarray], np.ndarray] | None
) -> None:
    """Write the staged pieces that are kept, with their groups and splits, to a final part.

    shorten: turns the staged tokens into those that are trained on; None if they are the same.
    """
    places = read_table(placed_path(staged))
    columns = [name for name in PART.names if name not in PLACED.names]
    with (
        part.writing() as file,
        pq.ParquetWriter(file, PART, compression="zstd", use_dictionary=False) as rows,
    ):
        begin = 0
        for group in table_groups(staged, columns):
            placing = places.slice(begin, len(group))
            begin += len(group)
            all_of_it = {
                name: (placing if name in PLACED.names else group)[name] for name in PART.names
            }
            kept = pa.table(all_of_it, PART).filter(pc.is_valid(placing["group_id"]))
            rows.write_table(_shortened(kept, shorten) if shorten else kept)


def _shortened(pieces: pa.Table, shorten: Callable[[np.ndarray], np.ndarray]) -> pa.Table:
    ids = [shorten(tokens.values.to_numpy()) for tokens in pieces["tokens"]]
    tokens = pa.array(ids, PART.field("tokens").type)
    new = {"tokens": tokens, "num_tokens": pc.list_value_length(tokens)}
    return pa.table({name: new.get(name, pieces[name]) for name in PART.names}, PART)


def rejected_path(part: Location) -> Location:
    """The file that lists the rejected files of a part, with reasons."""
    return part.parent / part.name.replace("part-", "rejected-")


def placed_path(part: Location) -> Location:
    """The file that has the place of each row of a staged part."""
    return part.parent / part.name.replace("part-", "placed-")
