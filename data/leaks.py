"""Find the works that two sets of pieces share: by their notes, in any key, whatever their names.

    python -m data.leaks train_folder test_folder
    python -m data.leaks folk nottingham.tar.gz --pairs shared.csv
    python -m data.leaks runs/data/folk-abc others.parquet:midi

A set is a folder or an archive of MIDI or ABC, a corpus by name, a folder made by data.prepare, one
split of it (`runs/data/folk-abc:train`), or a column of a Parquet file, which holds MIDI as bytes
or ABC as text. Works are those that data.prepare would keep in one split. Every piece of B whose
work A has as well is in a row of its own, beside the piece of A that is most like it.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.abc.dialect import AbcError
from data.errors import DataError, hint, printable, with_remedy
from data.music.files import from_midi
from data.music.score import DEFAULT_TICKS_PER_QUARTER, Score, ScoreError
from data.notation import tunes
from data.sources.named import check_source, open_source
from data.store.flat import SPLITS
from data.store.location import Location
from data.store.manifest import MANIFEST
from data.store.tables import row_groups
from data.tokens.make import load_tokenizer
from data.works import versions
from data.works.signatures import BINS, signature

SHOWN = 20
"""Pairs that are printed."""
DOWNLOADS = "runs/data/downloads"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With which a formula begins in a spreadsheet."""


@dataclass(frozen=True)
class Set:
    paths: list[str]
    signatures: np.ndarray
    """(pieces, BINS) uint16."""
    unread: int
    """Files that could not be read."""


@dataclass(frozen=True)
class Pair:
    a: str
    b: str
    shared: int
    """Bins of the signatures in which the two agree,"""
    filled: int
    """of so many that one of them fills. The two need not be versions of each other: both may be
    of a third."""


@dataclass(frozen=True)
class Leaks:
    works: int
    """That both sets have."""
    in_a: int
    """Pieces of these works in A,"""
    in_b: int
    """and in B."""
    pairs: list[Pair]
    """One for each of the latter, the most alike first."""


def leaks(a: Set, b: Set, threads: int = 1) -> Leaks:
    """The works that two sets share."""
    both = np.concatenate([a.signatures, b.signatures])
    group = versions.group(both.copy(), threads=threads)
    of_a, of_b = np.split(group, [len(a.paths)])
    works = np.intersect1d(of_a, of_b)
    members = np.flatnonzero(np.isin(of_a, works))
    members = members[np.argsort(of_a[members], kind="stable")]
    ordered = of_a[members]
    pairs = []
    for number in np.flatnonzero(np.isin(of_b, works)).tolist():
        begin, end = np.searchsorted(ordered, [of_b[number], of_b[number] + 1])
        mine, others = b.signatures[number], a.signatures[members[begin:end]]
        shared = ((others == mine) & (mine > 0)).sum(axis=1)
        filled = ((others | mine) > 0).sum(axis=1)
        best = int(np.argmax(shared / filled))
        path = a.paths[members[begin + best]]
        pairs.append(Pair(path, b.paths[number], int(shared[best]), int(filled[best])))
    pairs.sort(key=lambda pair: (-pair.shared / pair.filled, pair.b))
    return Leaks(len(works), len(members), len(pairs), pairs)


def read(source: str) -> Set:
    """The signatures of a set. Raises DataError for what is none, or holds no piece."""
    paths, signatures, unread = [], [], 0
    for path, score in _scores(source):
        if score is None:
            unread += 1
        else:
            paths.append(path)
            signatures.append(signature(score))
    if not paths:
        raise DataError(f"{source} holds no piece that can be read ({unread:,} cannot)")
    return Set(paths, np.stack(signatures).reshape(-1, BINS), unread)


def _scores(source: str) -> Iterator[tuple[str, Score | None]]:
    """(path, score) of each piece; None where there is one that cannot be read."""
    place, _, column = source.rpartition(":")
    if place.endswith(".parquet"):
        yield from _column(Path(place), column)
        return
    for folder, split in ((source, None), (place, column)):
        if folder and "/" not in (split or "") and (Location.of(folder) / MANIFEST).exists():
            yield from _prepared(Location.of(folder), split)
            return
    check_source(source)
    for shard in open_source(source, Location.of(DOWNLOADS), None)[0]:
        for path, content in shard.read():
            yield path, _read(content) if isinstance(content, bytes) else None


def _prepared(folder: Location, split: str | None) -> Iterator[tuple[str, Score | None]]:
    if split not in (None, *SPLITS):
        raise DataError(f"{folder} has no split {split!r}{hint(str(split), SPLITS)}")
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    for part in (folder / "parts").children():
        for group in row_groups(part, ["path", "split", "tokens"]):
            for row in group:
                if split in (None, row["split"]):
                    yield row["path"], tokenizer.decode(row["tokens"])


def _column(file: Path, name: str) -> Iterator[tuple[str, Score | None]]:
    try:
        parquet = pq.ParquetFile(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{file} cannot be read: {error}") from None
    with parquet:
        if name not in parquet.schema_arrow.names:
            raise DataError(
                f"{file} has no column {name!r}{hint(name, parquet.schema_arrow.names)}"
            )
        row = 0
        for batch in parquet.iter_batches(columns=[name]):
            for content in batch.column(0).to_pylist():
                yield f"{file.name}:{row}", _read(content)
                row += 1


def _read(content: object) -> Score | None:
    """The score of MIDI bytes or ABC text; None for any other."""
    try:
        if isinstance(content, bytes):
            return from_midi(content, DEFAULT_TICKS_PER_QUARTER)
        if isinstance(content, str):
            return tunes.read(content, DEFAULT_TICKS_PER_QUARTER)
    except (ScoreError, AbcError):
        pass
    return None


def report(names: tuple[str, str], a: Set, b: Set, found: Leaks) -> str:
    lines = []
    for name, each, count in zip(names, (a, b), (found.in_a, found.in_b)):
        unread = f" ({each.unread:,} could not be read)" if each.unread else ""
        lines.append(f"{name}: {count:,} of {len(each.paths):,} pieces{unread} are of shared works")
    lines.append(f"works that both have: {found.works:,}")
    lines += [
        f"  {pair.shared:3} of {pair.filled:3}  {pair.b}  is like  {pair.a}"
        for pair in found.pairs[:SHOWN]
    ]
    if len(found.pairs) > SHOWN:
        lines.append(f"  ... and {len(found.pairs) - SHOWN:,} more: --pairs FILE writes them all")
    return "\n".join(map(printable, lines))


def write_pairs(pairs: list[Pair], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as text:
        rows = csv.writer(text)
        rows.writerow(field.name for field in fields(Pair))
        rows.writerows(map(plain, astuple(pair)) for pair in pairs)


def plain(value: str | int) -> str | int:
    """The value; text that a spreadsheet would run as a formula, after an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data.leaks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help="a set: what is trained on, say")
    parser.add_argument("b", metavar="B", help="another: what is tested on")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="write all pairs, as CSV")
    args = parser.parse_args()
    try:
        a, b = read(args.a), read(args.b)
        found = leaks(a, b, os.cpu_count() or 1)
        print(report((args.a, args.b), a, b, found))
        if args.pairs:
            write_pairs(found.pairs, args.pairs)
    except ValueError as error:
        print(f"data.leaks: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"data.leaks: {with_remedy(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
