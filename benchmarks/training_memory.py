"""Peak memory of whole cells, compared with `trainers.memory.peak_bytes`.

    python -m benchmarks.training_memory
    python -m benchmarks.training_memory --arch lstm

`harness/peak_memory.py` says what is measured and what is not.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from harness.peak_memory import VOCAB, measured, write_data
from trainers.cell import Cell
from trainers.ladder import archs
from trainers.memory import peak_bytes

SETTINGS = (
    # size, context, tokens of a batch, of a micro-batch
    ("20k", 256, 4096, 4096),
    ("300k", 256, 1024, 16_384),
    ("300k", 256, 8192, 4096),
    ("1M", 512, 4096, 4096),
    ("1M", 512, 4096, 2048),
    ("5M", 512, 2048, 2048),
    ("5M", 512, 2048, 512),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", choices=archs(), help="this one alone; all if left out")
    only = parser.parse_args().arch
    torch.set_num_threads(1)
    print("| arch | size | context | batch | micro-batch | measured MB | formula MB | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        for arch in [only] if only else archs():
            for size, context, batch, micro in SETTINGS:
                cell = Cell(
                    *(arch, size, 0, 0.001, 2 * batch, batch, context, 0.1, 1.0),
                    *("abc", VOCAB, "random"),
                )
                found, formula = measured(cell, Path(folder), micro), peak_bytes(cell, micro, 1)
                print(
                    f"| {arch} | {size} | {context} | {batch:,} | {micro:,} | {found / 1e6:.1f} "
                    f"| {formula / 1e6:.1f} | {formula / found:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
