"""The pipeline on two cores against twice a bare loop: files a second to staged Parquet.

    python benchmarks/data_pipeline.py pop909.tar.gz

The bare loop reads, quantises and writes tokens and text in this process, and keeps nothing. The
pipeline besides sketches versions, hashes, and writes Parquet; its workers have started before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import ray

from data.abc_tokenizer import AbcTokenizer
from data.filters import Filters
from data.parts import Wish, batches, parsed, stage
from data.prepare import each
from data.score import quantise_all
from data.sources import Shard, shards
from data.storage import Location


def bare(found: list[Shard], tokenizer: AbcTokenizer) -> int:
    files = 0
    for shard in found:
        for batch in batches(parsed(shard, {}, lambda *_: None)):
            scores = quantise_all([midi for _, midi in batch], 24)
            for ids in tokenizer.encode_all(scores):
                tokenizer.to_text(ids)
                files += 1
    return files


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path)
    args = parser.parse_args()
    found, tokenizer = shards(Location.of(args.archive)), AbcTokenizer()
    wish = Wish(args.archive.name, tokenizer, Filters(), None)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:

        def pipeline(name: str) -> float:
            out = Location.of(Path(folder) / name)
            start = time.perf_counter()
            each(
                lambda shard, part: stage(shard, part, wish, "benchmark"),
                [(shard, out / f"part-{n:05d}.parquet") for n, shard in enumerate(found)],
            )
            return time.perf_counter() - start

        pipeline("warm")
        print("| | files a second |\n| --- | --- |")
        for name in ("first", "second"):
            start = time.perf_counter()
            files = bare(found, tokenizer)
            alone = files / (time.perf_counter() - start)
            together = files / pipeline(name)
            print(f"| bare loop, one process | {alone:.0f} |")
            print(f"| pipeline, two cores | {together:.0f}, {together / alone / 2:.2f} of twice |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
