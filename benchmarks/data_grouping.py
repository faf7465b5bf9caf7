"""Time, memory and errors of finding versions among ever more signatures, and what is not found.

    python -m benchmarks.data_grouping --sizes 1000 10000 100000 1000000
    python -m benchmarks.data_grouping --exact folk nottingham.tar.gz pop909.tar.gz

Signatures are made up: works of `VERSIONS` pieces on average, whose runs are lognormal in number.
Of a work's runs each piece keeps from six to ten in ten, and has as many of its own as it lost; one
run in twenty is a figure that other works have as well, the more often the earlier it stands in a
list. With `--exact` those of a corpus are grouped, and then every pair is compared. Memory is
anonymous (Linux): what is mapped from disk is not counted.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.data_versions import distinct
from data.store.scratch import scratch
from data.works import versions
from data.works.components import joined
from data.works.signatures import BINS, signature

VERSIONS = 4
MEDIAN_RUNS, SPREAD, MOST_RUNS = 250, 1.0, 5000
FIGURES, FIGURE_SHARE = 100_000, 0.05
WORKS = 500
"""That are made at a time."""


def made_up(pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Signatures, (pieces, BINS) uint16, in any order, and the work of each, (pieces,) int64."""
    rng = np.random.default_rng(pieces)
    signatures, works = scratch((pieces, BINS), np.uint16), np.zeros(pieces, np.int64)
    places, first_work = rng.permutation(pieces), 0
    while len(places):
        counts = rng.geometric(1 / VERSIONS, WORKS)
        of = np.repeat(np.arange(WORKS), counts)[: len(places)]
        sizes = np.clip(rng.lognormal(np.log(MEDIAN_RUNS), SPREAD, WORKS), 8, MOST_RUNS).astype(int)
        here, places = places[: len(of)], places[len(of) :]
        signatures[here] = _sketches(first_work + of, sizes[of], rng)
        works[here] = first_work + of
        first_work += WORKS
    return signatures, works


def _sketches(works: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    piece = np.repeat(np.arange(len(works)), sizes)
    place = np.arange(len(piece)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    run = works[piece] * MOST_RUNS + place
    # Whether a run is a figure, and which, is the same in all pieces of a work.
    chance = np.random.default_rng(0).random((2, 2**20))
    figure = chance[0][run % 2**20] < FIGURE_SHARE
    run[figure] = -(FIGURES ** chance[1][run[figure] % 2**20]).astype(int)
    lost = rng.random(len(run)) > rng.uniform(0.6, 1, len(works))[piece]
    run[lost] = rng.integers(2**62, 2**63, int(lost.sum()))
    hashes = _mixed(run.view(np.uint64))
    least = np.full(len(works) * BINS, np.uint64(2**64 - 1))
    np.minimum.at(least, piece * BINS + (hashes >> np.uint64(55)).astype(int), hashes)
    found = np.maximum(least & np.uint64(0xFFFF), 1).astype(np.uint16)
    found[least == np.uint64(2**64 - 1)] = 0
    return found.reshape(len(works), BINS)


def _mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64."""
    values = values * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return values ^ values >> np.uint64(31)


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The most anonymous memory that the block added, in MiB, once it has ended."""
    peak, ended, before = [0], threading.Event(), _anonymous()

    def watch() -> None:
        while not ended.wait(0.05):
            peak[0] = max(peak[0], _anonymous() - before)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        ended.set()
        watching.join()


def _anonymous() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) // 1024


def several(one: np.ndarray, other: np.ndarray) -> int:
    """Of how many values of `one` the items have several values of `other`."""
    pairs = np.unique(np.stack([one, other]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())


def grow(sizes: list[int], threads: int) -> None:
    print("| signatures | seconds | of processor | µs each | MiB | works | torn | works merged |")
    print("| --- " * 8 + "|")
    for pieces in sizes:
        signatures, works = made_up(pieces)
        began, used = time.perf_counter(), time.process_time()
        with peak_memory() as peak:
            groups = versions.group(signatures, threads=threads)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        torn, merged = several(works, groups), several(groups, works)
        print(
            f"| {pieces:,} | {seconds:.1f} | {used:.1f} | {1e6 * used / pieces:.0f} | {peak[0]:,} "
            f"| {len(np.unique(works)):,} | {torn:,} | {merged:,} |",
            flush=True,
        )


def every_pair(signatures: np.ndarray, root: np.ndarray, enough: int) -> np.ndarray:
    """The root of each piece once each has been compared with all that follow it."""
    for number in range(len(signatures) - 1):
        rest = np.flatnonzero(root[number + 1 :] != root[number]) + number + 1
        shared = (signatures[rest] == signatures[number]) & (signatures[number] > 0)
        # Fewer than two shared bins are never enough, unless the two are equal.
        far = rest[shared.sum(axis=1, dtype=np.uint16) > 0]
        same = versions.similar(signatures[np.full(len(far), number)], signatures[far], enough)
        root = joined(root, np.full(same.sum(), number), far[same])
    return root


def exactly(sources: list[str], threads: int) -> None:
    pieces = list(distinct(sources, ""))
    signatures = np.stack([signature(piece.score) for piece in pieces])
    groups = versions.group(signatures.copy(), threads=threads)
    root = every_pair(signatures, np.arange(len(pieces), dtype=np.int32), versions.PLAIN)
    versions.empty_common(signatures, root)
    exact = every_pair(signatures, root, versions.ENOUGH)
    print(
        f"{len(pieces):,} pieces: {len(np.unique(exact)):,} groups by every pair, "
        f"{len(np.unique(groups)):,} by buckets; of the former "
        f"{several(exact, groups):,} are torn, of the latter {several(groups, exact):,}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[1000, 10_000])
    parser.add_argument("--exact", nargs="+", metavar="SOURCE", help="folk, archives or folders")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if args.exact:
        exactly(args.exact, args.threads)
    else:
        grow(args.sizes, args.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
