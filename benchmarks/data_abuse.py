"""Prepare damaged MIDI files: each must become a piece, or a rejected file with a reason.

python -m benchmarks.data_abuse multitrack.tar.gz nottingham.tar.gz --files 10000
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import ray

from data.prepare import prepare
from data.sources.folders import shards
from data.store.location import Location
from data.store.tables import read_table
from harness.damage import mutate

FILES_PER_TAR = 500


def write_mutants(originals: list[bytes], count: int, folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for first in range(0, count, FILES_PER_TAR):
        with tarfile.open(folder / f"{first:06d}.tar", "w") as tar:
            for number in range(first, min(first + FILES_PER_TAR, count)):
                content, other = (originals[int(n)] for n in rng.integers(0, len(originals), 2))
                damaged = mutate(content, other, rng)
                entry = tarfile.TarInfo(f"{number:06d}.mid")
                entry.size = len(damaged)
                tar.addfile(entry, io.BytesIO(damaged))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archives", nargs="+", type=Path, help="of the files to damage")
    parser.add_argument("--files", type=int, default=10_000, help="[10000]")
    args = parser.parse_args()
    originals = [
        content
        for archive in args.archives
        for shard in shards(Location.of(archive))
        for _, content in shard.read()
        if isinstance(content, bytes) and content
    ]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source", Location.of(Path(folder) / "out")
        source.mkdir()
        write_mutants(originals, args.files, source, seed=1)
        start = time.perf_counter()
        prepare(str(source), "abc", out)
        seconds = time.perf_counter() - start
        paths = [
            path
            for part in (out / "parts").children()
            for path in read_table(part, ["path"])["path"].to_pylist()
        ]
        rejected = read_table(out / "rejected.parquet").to_pylist()
    accounted = Counter([*paths, *(row["path"] for row in rejected)])
    lost = [f"{n:06d}.mid" for n in range(args.files) if accounted[f"{n:06d}.mid"] != 1]
    print(f"{args.files:,} files in {seconds:.0f} s: {len(paths):,} pieces")
    for reason, count in Counter(row["reason"] for row in rejected).most_common():
        details = Counter(row["detail"][:60] for row in rejected if row["reason"] == reason)
        common = "; ".join(f"{detail} ({times})" for detail, times in details.most_common(3))
        print(f"{count:6,} {reason}: {common if reason != 'duplicate' else ''}")
    print(f"{len(lost)} files that are neither or both: {lost[:5]}")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
