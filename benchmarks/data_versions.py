"""Which works the groups split or merge, in corpora and in simulated performances of them.

    python -m benchmarks.data_versions pop909.tar.gz --works '/[0-9]{3}/'
    python -m benchmarks.data_versions pop909.tar.gz --works '/[0-9]{3}/' --enough 8 16 32 64
    python -m benchmarks.data_versions nottingham.tar.gz folk
    python -m benchmarks.data_versions pop909.tar.gz --works '/[0-9]{3}/' --performances 3

Groups are made from the notes alone; `--works` only says which files should be together.
Performances are by `harness.performances`, of one file from each of `--pieces` works.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data.music.files import from_midi
from data.music.score import Score, ScoreError
from data.sources import folk
from data.sources.folders import shards
from data.store.location import Location
from data.works import versions
from data.works.signatures import signature
from data.works.splits import split_groups
from harness.performances import DISTURBANCES, perform


@dataclass(frozen=True)
class Piece:
    source: str
    work: str
    """What its path says; its path, if nothing."""
    score: Score


@dataclass(frozen=True)
class Outcome:
    groups: int
    largest: int
    works: int
    torn: int
    """Works in several groups,"""
    parted: int
    """and of these, in two splits."""
    merged: int
    """Pairs of works that share a group."""

    def row(self) -> str:
        counts = (self.groups, self.largest, self.torn, self.parted, self.merged)
        return " | ".join(f"{count:,}" for count in counts)


HEAD = "| groups | largest | works torn | in two splits | pairs of works merged |\n" + "| --- " * 6


def read(source: str) -> Iterator[tuple[str, Score]]:
    for shard in folk.shards() if source == "folk" else shards(Location.of(source)):
        for path, content in shard.read():
            if isinstance(content, bytes):
                try:
                    yield path, from_midi(content, 24)
                except ScoreError:
                    continue


def distinct(sources: Sequence[str], works: str) -> Iterator[Piece]:
    """As in a data set: of exact duplicates within a source one is kept."""
    seen: set[bytes] = set()
    for source in sources:
        for path, score in read(source):
            key = source.encode() + score.canonical()
            if key not in seen:
                seen.add(key)
                match = re.search(works, path) if works else None
                yield Piece(source, match[0] if match else path, score)


def grouped(signatures: np.ndarray) -> list[int]:
    return versions.group(signatures.copy()).tolist()


def outcome(groups: Sequence[int], works: Sequence[str], sizes: Sequence[int]) -> Outcome:
    """sizes: notes of each piece."""
    works_of, groups_of = defaultdict(set), defaultdict(set)
    for group, work in zip(groups, works):
        works_of[group].add(work)
        groups_of[work].add(group)
    pieces, notes = np.bincount(groups), np.bincount(groups, sizes).astype(int)
    first = np.flatnonzero(pieces)
    named = [f"{number:08d}" for number in first.tolist()]
    splits = dict(zip(first.tolist(), split_groups(named, pieces[first], notes[first])[0].tolist()))
    torn = [found for found in groups_of.values() if len(found) > 1]
    return Outcome(
        groups=len(works_of),
        largest=int(pieces.max()),
        works=len(groups_of),
        torn=len(torn),
        parted=sum(len({splits[group] for group in found}) > 1 for found in torn),
        merged=sum(len(held) * (len(held) - 1) // 2 for held in works_of.values()),
    )


def show(name: str, scores: Sequence[Score], works: Sequence[str], enough: Sequence[int]) -> None:
    signatures = np.stack([signature(score) for score in scores])
    for versions.ENOUGH in enough:
        found = outcome(grouped(signatures), works, [len(score) for score in scores])
        print(f"| {name}, {versions.ENOUGH} | {found.row()} |", flush=True)


def performances(pieces: Sequence[Piece], count: int, enough: Sequence[int]) -> None:
    """Each disturbance alone, all together, all twice over; and one of all beside its score."""
    rng = np.random.default_rng(1)
    works = [piece.work for piece in pieces for _ in range(count)]
    everything = list(DISTURBANCES)
    ways = {name: [name] for name in everything}
    for name, names in (ways | {"all": everything, "all, twice over": everything * 2}).items():
        scores = [perform(piece.score, names, rng) for piece in pieces for _ in range(count)]
        show(name, scores, works, enough)
    scores = [
        score for piece in pieces for score in (piece.score, perform(piece.score, everything, rng))
    ]
    show("score and all", scores, [piece.work for piece in pieces for _ in range(2)], enough)


def spanning(pieces: Sequence[Piece], groups: Sequence[int]) -> str:
    """How many groups hold pieces of several sources, and how many pieces of each."""
    members = defaultdict(list)
    for piece, group in zip(pieces, groups):
        members[group].append(piece.source)
    found = [held for held in members.values() if len(set(held)) > 1]
    shares = [
        f"; {sum(held.count(source) for held in found):,} pieces of {source} in them"
        for source in dict.fromkeys(piece.source for piece in pieces)
    ]
    return f"{len(found):,} groups span sources{''.join(shares)}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", help="folk, archives or folders")
    parser.add_argument("--works", default="", help="regular expression for a path's work")
    parser.add_argument("--performances", type=int, default=0, help="of each piece; none [0]")
    parser.add_argument("--pieces", type=int, default=200, help="that are performed [200]")
    parser.add_argument("--enough", type=int, nargs="+", default=[versions.ENOUGH])
    args = parser.parse_args()
    pieces = list(distinct(args.sources, args.works))
    print("| , bins that are enough " + HEAD + "|")
    if args.performances:
        of_work = {piece.work: piece for piece in reversed(pieces)}
        chosen = np.random.default_rng(0).permutation(sorted(of_work))[: args.pieces]
        performances([of_work[work] for work in chosen], args.performances, args.enough)
        return 0
    scores, works = [piece.score for piece in pieces], [piece.work for piece in pieces]
    show("pieces", scores, works, args.enough)
    if len(args.sources) > 1:
        print(spanning(pieces, grouped(np.stack([signature(score) for score in scores]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
