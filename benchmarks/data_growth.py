"""Time and memory of preparing ever more files: perturbed copies of the tunes of an archive.

    python -m benchmarks.data_growth nottingham.tar.gz --sizes 1000 10000

Each copy is transposed, loses a tenth of its notes and has its own tempo, so that none is a
duplicate. Memory is the peak resident set of the driver, and of the largest worker (Linux). The
first size is prepared twice, so that imports are not counted.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray

from data import prepare as preparing
from data.music.files import from_midi, to_midi
from data.music.score import Score
from data.music.transpose import transpose
from data.sources.folders import shards
from data.store.location import Location

FILES_PER_TAR = 500
COLUMNS = ("track", "program", "is_drum", "onset", "duration", "pitch", "velocity")


def perturbed(score: Score, rng: np.random.Generator) -> bytes:
    kept = rng.random(len(score)) > 0.1
    kept[0] = True
    fewer = replace(score, **{name: getattr(score, name)[kept] for name in COLUMNS})
    tempo = ((0, int(rng.integers(60, 180))),)
    return to_midi(replace(transpose(fewer, int(rng.integers(-5, 7))), tempos=tempo))


def write_copies(scores: list[Score], count: int, folder: Path) -> None:
    rng = np.random.default_rng(count)
    for first in range(0, count, FILES_PER_TAR):
        with tarfile.open(folder / f"{first:06d}.tar", "w") as tar:
            for number in range(first, min(first + FILES_PER_TAR, count)):
                content = perturbed(scores[number % len(scores)], rng)
                entry = tarfile.TarInfo(f"{number:06d}.mid")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))


def memory(pid: int) -> int:
    """The largest resident set of a process so far, in MiB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) // 1024 if lines else 0


def workers() -> list[int]:
    """This process's descendants that Ray calls workers."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[-1].split()
                parents[int(entry.name)] = int(fields[1])
            except OSError:
                continue
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    found = []
    for pid in mine - {os.getpid()}:
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
                found.append(pid)
        except OSError:
            continue
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1000, 10000])
    args = parser.parse_args()
    scores = [
        from_midi(content, 24)
        for shard in shards(Location.of(args.archive))
        for _, content in shard.read()
        if isinstance(content, bytes)
    ]
    placing: list[float] = []

    def each(work: Callable[..., Any], tasks: Sequence[tuple]) -> list[Any]:
        start = time.perf_counter()
        found = original(work, tasks)
        if work is preparing.place:
            placing.append(time.perf_counter() - start)
        return found

    original = preparing.each
    preparing.each = each
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    print("| files | pieces | seconds | of these, versions | ms a file | driver | worker |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for index, count in enumerate([args.sizes[0], *args.sizes]):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "source"
            source.mkdir()
            write_copies(scores, count, source)
            start = time.perf_counter()
            made = preparing.prepare(str(source), "abc", Location.of(Path(folder) / "out"))
            seconds = time.perf_counter() - start
        if index:
            pieces = sum(split["pieces"] for split in made.splits.values())
            print(
                f"| {count:,} | {pieces:,} | {seconds:.1f} | {placing[-1]:.1f} "
                f"| {1000 * seconds / count:.2f} | {memory(os.getpid()):,} MiB "
                f"| {max(map(memory, workers()), default=0):,} MiB |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
