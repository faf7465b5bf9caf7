"""What a data set holds: counts, lengths, pitches, instruments, versions; as a table and a picture.

python -m data.describe runs/data/folk-abc                 # the table, and describe.png in it
python -m data.describe my_data --piece 3f2a --out p.png   # one piece: its ABC, a piano roll
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.describe_pictures import draw_overview, draw_piece
from data.packed import DataError, read_manifest
from data.parts import read_table
from data.storage import Location
from data.tokenizers import Tokenizer, load_tokenizer

SAMPLE = 2_000
"""Pieces that are decoded for the histograms of pitches and programs."""


@dataclass(frozen=True)
class Overview:
    lengths: np.ndarray
    """(pieces,) in tokens."""
    seconds: np.ndarray
    """(pieces,)"""
    tracks: np.ndarray
    """(pieces,)"""
    group_sizes: np.ndarray
    """(groups,) how many pieces are versions of one work."""
    pitches: np.ndarray
    """(128,) how many notes of the sample have each pitch, drums aside."""
    programs: Counter[str]
    """Notes of the sample by General MIDI program, or drums."""
    sampled: int
    """Pieces in the sample."""


def overview(folder: Location, tokenizer: Tokenizer) -> Overview:
    columns = ["piece_id", "group_id", "num_tokens", "seconds", "num_tracks"]
    rows = [read_table(part, columns) for part in (folder / "parts").children()]
    merged = {name: np.concatenate([part[name].to_numpy() for part in rows]) for name in columns}
    # By piece_id, which is a hash: the same sample however the data were made, and no bias.
    chosen = set(np.sort(merged["piece_id"])[:SAMPLE].tolist())
    pitches, programs = np.zeros(128, np.int64), Counter[str]()
    for part in (folder / "parts").children():
        table = read_table(part, ["piece_id", "tokens"])
        for piece_id, tokens in zip(table["piece_id"].to_pylist(), table["tokens"]):
            if piece_id not in chosen:
                continue
            score = tokenizer.decode(tokens.values.to_numpy())
            pitches += np.bincount(score.pitch[~score.is_drum], minlength=128)
            found, counts = np.unique(score.program[~score.is_drum], return_counts=True)
            programs.update(dict(zip(map(str, found.tolist()), counts.tolist())))
            programs["drums"] += int(score.is_drum.sum())
    return Overview(
        merged["num_tokens"],
        merged["seconds"],
        merged["num_tracks"],
        np.unique(merged["group_id"].astype(str), return_counts=True)[1],
        pitches,
        +programs,
        len(chosen),
    )


def table(folder: Location, found: Overview) -> str:
    """All of it in words."""
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
    """The row whose piece_id or path begins so. Raises DataError unless there is exactly one."""
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
    parser.add_argument("folder", type=Location.of, help="what data.prepare made")
    parser.add_argument("--piece", metavar="ID", help="the beginning of a piece_id, or a path")
    parser.add_argument("--out", type=Path, help="the picture [describe.png, or piece.png, there]")
    args = parser.parse_args()
    name = "piece.png" if args.piece else "describe.png"
    picture = args.out or Path(args.folder.local or ".") / name
    try:
        read_manifest(args.folder)
        tokenizer = load_tokenizer(args.folder / "tokenizer.json")
        if args.piece:
            row = find_piece(args.folder, args.piece)
            print("\n".join(f"{key}: {row[key]}" for key in row if key not in ("tokens", "abc")))
            print(f"\n{row['abc']}")
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
