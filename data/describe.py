"""Describe a data set in a table and a picture: counts, lengths, pitches, instruments, versions.

python -m data.describe runs/data/folk-abc                 # the table, and describe.png in it
python -m data.describe my_data --piece 3f2a --out p.png   # one piece: its ABC, a piano roll
python -m data.describe my_data --card --licence cc-by-4.0 # README.md, for Hugging Face's datasets
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from data.card import CARD, write_card
from data.describe_pictures import draw_overview, draw_piece
from data.errors import DataError, printable
from data.overview import Overview, overview
from data.store.location import Location
from data.store.manifest import read_manifest
from data.store.tables import read_table
from data.tokens.make import load_tokenizer

LONG = ("tokens", "abc", "signature")
"""What is not printed of a piece in a line."""


def table(folder: Location, found: Overview) -> str:
    """The manifest and the overview in words."""
    manifest = read_manifest(folder)
    lines = [
        f"{manifest.source}: {manifest.tokenizer}, {manifest.ticks_per_quarter} ticks a quarter, "
        f"vocabulary {manifest.vocab_size:,}, fingerprint {manifest.fingerprint}",
        "",
        "split      pieces    groups         tokens         notes      hours",
    ]
    for name, split in manifest.splits.items():
        lines.append(
            f"{name:6}{split['pieces']:>11,}{split['groups']:>10,}{split['tokens']:>15,}"
            f"{split['notes']:>14,}{split['seconds'] / 3600:>11,.1f}"
        )
    for title, counts in (
        ("left out", manifest.rejected),
        ("mended", manifest.mended),
        ("filters", manifest.filters),
    ):
        said = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        lines.append(f"{title + ':':12}{said or 'none'}")
    for each in manifest.added:
        said = ", ".join(f"{name} {count:,}" for name, count in each.rejected.items())
        lines.append(
            f"added:      {each.pieces:,} pieces of {each.source} to {each.parent}; left out of "
            f"these: {said or 'none'}"
        )
    sizes = Counter(found.group_sizes.tolist())
    several = sum(count for size, count in sizes.items() if size > 1)
    lines.append(
        f"versions:   {several:,} works with several, {int(found.group_sizes.max()):,} at most"
    )
    lines += ["", "            5 %    median      95 %       max"]
    for name, values in (
        ("tokens", found.lengths),
        ("seconds", found.seconds),
        ("tracks", found.tracks),
    ):
        cuts = [*np.quantile(values, [0.05, 0.5, 0.95]), values.max()]
        lines.append(f"{name:8}" + "".join(f"{value:>10,.0f}" for value in cuts))
    common = ", ".join(f"{name} {count:,}" for name, count in found.programs.most_common(8))
    lines += ["", f"programs by notes ({found.sampled:,} pieces): {common}"]
    return "\n".join(lines)


def find_piece(folder: Location, prefix: str) -> dict:
    """The row whose piece_id begins with `prefix`, or whose path it is.

    Raises DataError unless there is exactly one.
    """
    found = []
    for part in (folder / "parts").children():
        rows = read_table(part, ["piece_id", "path"])
        for at, (piece_id, path) in enumerate(
            zip(rows["piece_id"].to_pylist(), rows["path"].to_pylist())
        ):
            if prefix in (piece_id, path) or piece_id.startswith(prefix):
                found.append((part, at))
    if len(found) != 1:
        raise DataError(f"{len(found)} pieces of {folder} begin with {prefix!r}, expected one")
    part, at = found[0]
    return read_table(part).slice(at, 1).to_pylist()[0]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data.describe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Location.of, help="a folder made by data.prepare")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--piece", metavar="ID", help="show one piece: the beginning of its piece_id, or its path"
    )
    parser.add_argument(
        "--out", type=Path, help="the picture [describe.png, or piece.png, in that folder]"
    )
    instead.add_argument(
        "--card",
        action="store_true",
        help="write README.md, splits/ and splits.csv, by which datasets.load_dataset reads it",
    )
    parser.add_argument(
        "--licence", metavar="WORD", help="what the card says, such as cc-by-4.0 [the source's]"
    )
    args = parser.parse_args()
    if args.licence and not args.card:
        parser.error("--licence is for --card")
    if args.out and args.card:
        parser.error("--out is for a picture; --card writes into the folder itself")
    name = "piece.png" if args.piece else "describe.png"
    picture = args.out or Path(args.folder.local or ".") / name
    try:
        read_manifest(args.folder)
        if args.card:
            write_card(args.folder, args.licence)
            print(args.folder / CARD)
            return 0
        tokenizer = load_tokenizer(args.folder / "tokenizer.json")
        if args.piece:
            row = find_piece(args.folder, args.piece)
            told = [f"{key}: {row[key]}" for key in row if key not in LONG]
            print("\n".join(map(printable, [*told, "", *row["abc"].split("\n")])))
            score = tokenizer.decode(np.array(row["tokens"], np.uint16))
            draw_piece(score, row["path"], picture)
        else:
            found = overview(args.folder, tokenizer)
            print(table(args.folder, found))
            draw_overview(found, read_manifest(args.folder), picture)
    except (ValueError, OSError, json.JSONDecodeError) as error:
        print(f"data.describe: {error}", file=sys.stderr)
        return 2
    print(f"picture: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
