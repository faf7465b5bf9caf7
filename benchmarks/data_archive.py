"""What it costs to have the files of one compressed tar read by many tasks.

    python -m benchmarks.data_archive pop909.tar.gz --copies 1 16

The files of the archive, so many times over, are packed as one tar. It is written out as shards,
once, and these are read: both in this process, so that processor time is all there is. `whole` is a
task that reads the tar from its start to its end, as each of several tasks did before.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from data.sources.containers import Shard, Tar
from data.sources.folders import shards
from data.sources.spool import divided, spool, to_spool
from data.store.location import Location


def copied(archive: Path, copies: int, target: Path) -> None:
    """One tar of the files of another, each so many times under names of their own."""
    with tarfile.open(target, "w:gz") as tar:
        for number in range(copies):
            for path, content in Tar(Location.of(archive)).members():
                if isinstance(content, bytes):
                    entry = tarfile.TarInfo(f"{number}/{path}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))


def read(found: Iterable[Shard]) -> int:
    """How many files there are."""
    return sum(1 for shard in found for _ in shard.read())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path, help="a tar of MIDI files")
    parser.add_argument("--copies", nargs="+", type=int, default=[1, 16], help="[1 16]")
    args = parser.parse_args()
    print("| files | archive, MB | whole, s | written out, s | read, s | shards | on disk, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for copies in args.copies:
        with tempfile.TemporaryDirectory() as folder:
            tar, place = Path(folder) / "copies.tar.gz", Path(folder) / "staging"
            copied(args.archive, copies, tar)
            found = shards(Location.of(tar))
            begun = time.process_time()
            files = read(found)
            whole = time.process_time()
            for task in to_spool(found, Location.of(place)):
                spool(*task)
            written = time.process_time()
            parts = divided(found, Location.of(place))
            read(parts)
            ended = time.process_time()
            on_disk = sum(file.stat().st_size for file in place.rglob("*.parquet"))
            print(
                f"| {files:,} | {tar.stat().st_size / 1e6:.0f} | {whole - begun:.1f} "
                f"| {written - whole:.1f} | {ended - written:.1f} | {len(parts):,} "
                f"| {on_disk / 1e6:.0f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
