"""What differs where pieces are added to a data set, instead of all being prepared at once.

    python -m benchmarks.data_adding folk nottingham.tar.gz --shares 0.5 0.9 0.99 --steps 1 5

Of the files of each source a share, drawn by lot, is prepared first, and the others are added to it
in so many steps. Left out are pieces that would join works in different splits. Works are those of
preparing all at once: torn are those that have several groups, in one split or in two, and merged
are groups with several of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import ray

from data.add import add
from data.prepare import prepare
from data.sources.named import open_source
from data.store.location import Location
from data.store.tables import read_table

Places = dict[str, tuple[str, str]]
"""The group and split of each piece, by its id."""


def places(folder: Location) -> Places:
    found: Places = {}
    for part in (folder / "parts").children():
        rows = read_table(part, ["piece_id", "group_id", "split"])
        ids, groups, splits = (column.to_pylist() for column in rows.columns)
        found |= zip(ids, zip(groups, splits))
    return found


def differences(at_once: Places, grown: Places) -> list[int]:
    """Pieces left out, pieces in another split, works torn, works in two splits, groups merged."""
    groups, splits, works = defaultdict(set), defaultdict(set), defaultdict(set)
    for piece, (group, split) in grown.items():
        work = at_once[piece][0]
        groups[work].add(group)
        splits[work].add(split)
        works[group].add(work)
    return [
        len(at_once) - len(grown),
        sum(at_once[piece][1] != split for piece, (_, split) in grown.items()),
        *(sum(len(found) > 1 for found in each.values()) for each in (groups, splits, works)),
    ]


def measure(files: list[Path], share: float, steps: int, folder: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(files))
    first = round(share * len(files))
    lots = [drawn[:first], *np.array_split(drawn[first:], steps)]
    out, seconds = Location.of(folder / "0"), []
    for number, lot in enumerate(lots):
        source = folder / f"source-{number}"
        source.mkdir()
        for at in lot:
            (source / files[at].name).hardlink_to(files[at])
        parent, out = out, Location.of(folder / f"set-{number}")
        start = time.perf_counter()
        if number:
            add(parent, str(source), out)
        else:
            prepare(str(source), "abc", out)
        seconds.append(time.perf_counter() - start)
    whole = Location.of(folder / "whole")
    start = time.perf_counter()
    prepare(str(files[0].parent), "abc", whole)
    at_once = time.perf_counter() - start
    found = differences(places(whole), places(out))
    told = [f"{share:g}", steps, f"{len(files) - first:,}", f"{np.median(seconds[1:]):.1f}"]
    told += [f"{at_once:.1f}", *(f"{count:,}" for count in found)]
    print(f"| {' | '.join(map(str, told))} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    parser.add_argument("--shares", nargs="+", type=float, default=[0.5, 0.9, 0.99])
    parser.add_argument("--steps", nargs="+", type=int, default=[1])
    args = parser.parse_args()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    for source in args.sources:
        print(f"\n{source}\n")
        print(
            "| share first | steps | files added | seconds a step | all at once | left out | in "
            "another split | works torn | in two splits | groups merged |"
        )
        print("|" + " --- |" * 10)
        with tempfile.TemporaryDirectory() as place:
            members = Path(place) / "files"
            members.mkdir()
            files = list[Path]()
            for shard in open_source(source, Location.of("runs/data/downloads"), None)[0]:
                for _, content in shard.read():
                    if isinstance(content, bytes):
                        files.append(members / f"{len(files):06d}.mid")
                        files[-1].write_bytes(content)
            for share in args.shares:
                for steps in args.steps:
                    with tempfile.TemporaryDirectory(dir=place) as folder:
                        measure(files, share, steps, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
