"""The pipeline on two cores against two times one process: files per second to staged Parquet.

    python -m benchmarks.data_pipeline pop909.tar.gz

`text` reads, quantises and makes tokens and text in this process, and keeps nothing. `all` is the
whole work of a task in this process: also sketches of versions, hashes and Parquet. The pipeline
does all of it on Ray Data, over several copies of the archive, with workers already started. The
archive is written out as shards before; `benchmarks.data_archive` says what that costs.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ray

from data.abc.tokenizer import AbcTokenizer
from data.music.filters import Filters
from data.music.quantise import quantise_all
from data.parts import PieceSpec, batches, parsed, stage
from data.sources.containers import Shard
from data.sources.folders import shards
from data.sources.spool import divided, spool, to_spool
from data.store.location import Location
from data.tasks import each


def text(found: list[Shard], tokenizer: AbcTokenizer) -> int:
    files = 0
    for shard in found:
        for batch in batches(parsed(shard, {}, lambda *_: None)):
            scores = quantise_all([midi for _, midi in batch], 24)
            for ids in tokenizer.encode_all(scores):
                tokenizer.to_text(ids)
                files += 1
    return files


def in_turn(work: Callable[..., None], tasks: list[tuple[Shard, Location]]) -> None:
    for task in tasks:
        work(*task)


def seconds_of(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path, help="a tar of MIDI files")
    parser.add_argument("--copies", type=int, default=4, help="of it, for the pipeline [4]")
    parser.add_argument("--passes", type=int, default=3, help="how often [3]")
    args = parser.parse_args()
    tokenizer = AbcTokenizer()
    spec = PieceSpec(args.archive.name, tokenizer, Filters(), None)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def work(shard: Shard, part: Location) -> None:
        stage(shard, part, spec, "benchmark")

    print("| files a second | text | all | pipeline | of twice text | of twice all |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        whole_archive, place = shards(Location.of(args.archive)), Location.of(folder) / "spool"
        for task in to_spool(whole_archive, place):
            spool(*task)
        found = divided(whole_archive, place)
        files = text(found, tokenizer)

        def parts(name: str, copies: int) -> list[tuple[Shard, Location]]:
            out = Location.of(Path(folder) / name)
            return [
                (shard, out / f"part-{n:05d}.parquet") for n, shard in enumerate(found * copies)
            ]

        each(work, parts("warm", 1))
        for number in range(args.passes):
            alone = files / seconds_of(text, found, tokenizer)
            whole = files / seconds_of(in_turn, work, parts(f"whole-{number}", 1))
            copies = parts(f"copies-{number}", args.copies)
            both = files * args.copies / seconds_of(each, work, copies)
            shares = f"{both / alone / 2:.2f} | {both / whole / 2:.2f}"
            print(f"| | {alone:.0f} | {whole:.0f} | {both:.0f} | {shares} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
