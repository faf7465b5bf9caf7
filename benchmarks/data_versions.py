"""Which works the groups tear and merge, and which works two corpora share.

    python -m benchmarks.data_versions pop909.tar.gz --works '/[0-9]{3}/'
    python -m benchmarks.data_versions nottingham.tar.gz folk

Groups are made from the notes alone; `--works` only says which files should have been together.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from data import folk, versions
from data.score import Score, ScoreError, from_midi
from data.sources import shards
from data.splits import split_groups
from data.storage import Location


def read(source: str) -> Iterator[tuple[str, Score]]:
    for shard in folk.shards() if source == "folk" else shards(Location.of(source)):
        for path, content in shard.read():
            if isinstance(content, bytes):
                try:
                    yield path, from_midi(content, 24)
                except ScoreError:
                    continue


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", help="folk, archives or folders")
    parser.add_argument("--works", default="", help="regular expression for a path's work")
    args = parser.parse_args()
    sources, works, signatures, sizes = [], [], [], []
    names: list[str] = []
    seen: set[bytes] = set()
    for source in args.sources:
        for path, score in read(source):
            # As in a data set: of exact duplicates within a source one is kept.
            key = source.encode() + score.canonical()
            if key in seen:
                continue
            seen.add(key)
            match = re.search(args.works, path) if args.works else None
            sources.append(source)
            works.append(match[0] if match else "")
            signatures.append(versions.signature(score))
            names.append(f"{len(names):08d}")
            sizes.append(len(score))
    groups = versions.group(names, np.stack(signatures), [""] * len(names))
    members: dict[str, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        members[group].append(number)
    largest = max(map(len, members.values()))
    print(f"{len(groups):,} pieces, {len(members):,} groups, the largest of {largest:,}")
    if len(args.sources) > 1:
        spanning = [which for which in members.values() if len({sources[n] for n in which}) > 1]
        print(f"{len(spanning):,} groups span sources", end="")
        for source in args.sources:
            held = sum(sources[number] == source for which in spanning for number in which)
            print(f"; {held:,} pieces of {source} in them", end="")
        print()
    if args.works:
        splits, _ = split_groups(
            {
                group: (len(which), sum(sizes[number] for number in which))
                for group, which in members.items()
            }
        )
        of_work = defaultdict(set)
        for number, work in enumerate(works):
            of_work[work].add(groups[number])
        torn = [found for found in of_work.values() if len(found) > 1]
        parted = [found for found in torn if len({splits[group] for group in found}) > 1]
        pairs = set()
        for which in members.values():
            held = sorted({works[number] for number in which})
            pairs |= {(a, b) for i, a in enumerate(held) for b in held[i + 1 :]}
        total = len(of_work) * (len(of_work) - 1) // 2
        print(f"{len(of_work):,} works; {len(torn)} in several groups, {len(parted)} in two splits")
        print(f"{len(pairs)} of {total:,} pairs of works are merged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
