"""Prepare a data set: MIDI to ABC and tokens in Parquet, split without leaks, packed for training.

    python -m data.prepare --source folk --tokenizer abc --out runs/data/folk-abc
    python -m data.prepare --source my_midi_folder --out my_data

Interrupted, the same command goes on: a part that stands is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import re
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data

from data import folk
from data.packed import MANIFEST, SPLITS, DataError, Manifest, Split, read_manifest, write_split
from data.parts import REJECTED, finish, place, read_table, rejected_path, stage, write_rows
from data.sources import Shard, shards
from data.storage import Location
from data.tokenizers import TOKENIZERS, Tokenizer, make_tokenizer


def prepare(
    source: str, tokenizer: str, out: Location, *, ticks_per_quarter: int = 24, works: str = ""
) -> Manifest:
    """Make the data set of `source` in `out`, or go on with it, or find it made. Needs Ray running.

    source: `folk`, a tar, or a folder of MIDI files and tars.
    works: a regular expression for what is known of versions: files whose paths hold the same match
    are of one work, whatever the notes say.
    Raises DataError: unknown or empty source, unknown tokenizer, `out` made from something else.
    """
    chosen = check(source, tokenizer, ticks_per_quarter, works)
    wanted = {"source": source, "tokenizer": tokenizer, "grid": ticks_per_quarter, "works": works}
    _claim(out, {name: value for name, value in wanted.items() if value})
    if (out / MANIFEST).exists():
        return read_manifest(out)
    staging, run = out / "staging", uuid.uuid4().hex
    (out / "tokenizer.json").write_text(chosen.to_json())

    found = _folk_shards(out / "source") if source == "folk" else shards(_existing(source))
    staged = [staging / f"part-{index:05d}.parquet" for index in range(len(found))]
    _each(
        lambda index: stage(found[index], staged[index], source, chosen, run),
        _missing(staged),
    )
    placed, thresholds, duplicates = place(staged, works)
    parts = [out / "parts" / part.name for part in staged]
    shared = ray.put(placed)
    _each(lambda index: finish(staged[index], parts[index], ray.get(shared)), _missing(parts))
    rejected = [row for part in staged for row in read_table(rejected_path(part)).to_pylist()]
    rejected = sorted(rejected + duplicates, key=lambda row: row["path"])
    write_rows(out / "rejected.parquet", rejected, REJECTED)
    packed = {name: pack(out, name, parts) for name in SPLITS}
    manifest = Manifest(
        fingerprint=fingerprint(chosen, [split for split, _ in packed.values()]),
        source=source,
        tokenizer=tokenizer,
        ticks_per_quarter=ticks_per_quarter,
        vocab_size=chosen.vocab_size,
        bos_id=chosen.bos_id,
        splits={name: counts for name, (_, counts) in packed.items()},
        rejected=dict(sorted(Counter(row["reason"] for row in rejected).items())),
        mended=mended(staged),
        thresholds=thresholds,
    )
    (out / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
    staging.delete()
    return manifest


def check(source: str, tokenizer: str, ticks_per_quarter: int, works: str) -> Tokenizer:
    """The tokenizer, if there is such a one and something to read. Raises ValueError."""
    try:
        re.compile(works)
    except re.error as error:
        raise DataError(f"works {works!r} is no regular expression: {error}") from None
    if tokenizer not in TOKENIZERS:
        raise DataError(_unknown("tokenizer", tokenizer, TOKENIZERS))
    if source != "folk":
        shards(_existing(source))
    return make_tokenizer(tokenizer, ticks_per_quarter)


def pack(out: Location, name: str, parts: list[Location]) -> tuple[Split, dict[str, Any]]:
    """Write a split's tokens flat, in order of piece_id; return it and what it holds."""
    columns = ["piece_id", "group_id", "tokens", "num_notes", "seconds"]
    table = pa.concat_tables(
        [read_table(part, columns, [("split", "=", name)]) for part in parts]
    ).sort_by("piece_id")
    if not len(table):
        raise DataError(f"the source is too small: no group of versions is left for {name!r}")
    tokens = table["tokens"].combine_chunks()
    notes, seconds = table["num_notes"].to_numpy(), table["seconds"].to_numpy()
    flat = tokens.flatten().to_numpy()
    return write_split(out, name, flat, tokens.value_lengths(), notes, seconds), {
        "pieces": len(table),
        "groups": len(table["group_id"].unique()),
        "tokens": len(flat),
        "notes": int(notes.sum()),
        "seconds": float(seconds.sum()),
    }


def fingerprint(tokenizer: Tokenizer, splits: list[Split]) -> str:
    """Of what is trained on, token by token; not of names, nor of the order of arrival."""
    digest = hashlib.sha256(tokenizer.to_json().encode())
    for split in splits:
        for column in (split.tokens, split.starts):
            digest.update(column.tobytes())
    return digest.hexdigest()[:16]


def mended(staged: list[Location]) -> dict[str, int]:
    """How often each rule of `data.score` was applied."""
    total: Counter[str] = Counter()
    for part in staged:
        for counts in read_table(part, ["mended"])["mended"].to_pylist():
            total.update(json.loads(counts))
    return dict(sorted(total.items()))


# --- edges: Ray, files, words --------------------------------------------------------------------


def _each(work: Callable[[int], None], indices: list[int]) -> None:
    """Do `work` for every index, one Ray Data task each."""
    if not indices:
        return

    def task(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for index in batch["index"].tolist():
            work(index)
        return batch

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{"index": index} for index in indices]
    # A file that kills its process takes the task along: it is started again until all are found.
    blocks = ray.data.from_items(rows, override_num_blocks=len(rows))
    blocks.map_batches(task, max_retries=-1).materialize()


def _missing(paths: list[Location]) -> list[int]:
    """Which of them are not there."""
    return [index for index, path in enumerate(paths) if not path.exists()]


def _folk_shards(folder: Location) -> list[Shard]:
    """The tunes of the music21 package as tars of MIDI files, made once."""
    tunes = folk.tunes()
    groups = [
        tunes[first : first + folk.FILES_PER_SHARD]
        for first in range(0, len(tunes), folk.FILES_PER_SHARD)
    ]
    paths = [folder / f"folk-{index:05d}.tar" for index in range(len(groups))]
    _each(lambda index: folk.write_shard(paths[index], groups[index]), _missing(paths))
    return [Shard(path) for path in paths]


def _existing(source: str) -> Path:
    path = Path(source)
    if not path.exists() and os.sep not in source:
        raise DataError(_unknown("source", source, ["folk"]) + ", or the path of a folder or tar")
    return path.resolve()


def _unknown(kind: str, word: str, words: Iterable[str]) -> str:
    near = get_close_matches(word, words, n=1, cutoff=0.4)
    return f"unknown {kind} {word!r}; " + (
        f"did you mean {near[0]!r}?" if near else f"expected {', '.join(words)}"
    )


def _claim(out: Location, wanted: dict[str, Any]) -> None:
    """Note what `out` is made from, before it is. Raises DataError if it was begun from another."""
    path = out / "request.json"
    if path.exists():
        found = json.loads(path.read_text())
        if found != wanted:
            held, asked = (
                ", ".join(f"{k} {v}" for k, v in each.items()) for each in (found, wanted)
            )
            raise DataError(f"{out} holds {held}; wanted {asked}: use another folder")
        return
    path.write_text(json.dumps(wanted))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", required=True, help="folk, or a folder or tar of MIDI files")
    parser.add_argument("--tokenizer", default="abc", help=f"{', '.join(TOKENIZERS)} [abc]")
    parser.add_argument(
        "--out", type=Location.of, required=True, help="the folder to make, or s3://bucket/prefix"
    )
    parser.add_argument(
        "--ticks-per-quarter", type=int, default=24, help="the grid: 8, 12 or 24 [24]"
    )
    parser.add_argument(
        "--works",
        default="",
        metavar="REGEX",
        help="files whose paths hold the same match are versions of one work, beside those that "
        "are found by their notes; '/[0-9]{3}/' for POP909",
    )
    args = parser.parse_args()
    try:
        # Before Ray, which takes seconds to start.
        check(args.source, args.tokenizer, args.ticks_per_quarter, args.works)
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
        made = prepare(
            args.source,
            args.tokenizer,
            args.out,
            ticks_per_quarter=args.ticks_per_quarter,
            works=args.works,
        )
    except ValueError as error:
        print(f"data.prepare: {error}", file=sys.stderr)
        return 2
    for name, split in made.splits.items():
        print(f"{name:6}{split['pieces']:>9,} pieces {split['tokens']:>13,} tokens")
    for reason, count in made.rejected.items():
        print(f"left out: {count:,} {reason} (see {args.out}/rejected.parquet)")
    print(f"fingerprint {made.fingerprint}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
