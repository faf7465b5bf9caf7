"""How long packing takes by one thread, and by one a core: both in turn, medians.

python -m benchmarks.data_packing runs/data/folk-abc --passes 9
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from data.flatten import flatten
from data.store.location import Location
from data.store.manifest import read_manifest
from data.tokens.make import load_tokenizer


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Location.of, help="a folder made by data.prepare")
    parser.add_argument("--passes", type=int, default=9)
    args = parser.parse_args()
    tokenizer = load_tokenizer(args.folder / "tokenizer.json")
    parts = (args.folder / "parts").children()
    cores = os.cpu_count() or 1
    seconds: dict[int, list[float]] = {1: [], cores: []}
    for _ in range(args.passes):
        for threads, took in seconds.items():
            with patch("os.cpu_count", return_value=threads), tempfile.TemporaryDirectory() as out:
                start = time.perf_counter()
                _, fingerprint = flatten(Location.of(Path(out)), parts, tokenizer)
                took.append(time.perf_counter() - start)
            assert fingerprint == read_manifest(args.folder).fingerprint
    print("| threads | seconds, median | least | most |")
    print("| --- | --- | --- | --- |")
    for threads, took in seconds.items():
        print(f"| {threads} | {statistics.median(took):.3f} | {min(took):.3f} | {max(took):.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
