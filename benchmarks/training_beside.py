"""Training speed of architectures beside each other, or of optimizers: steps of each take turns.

    python -m benchmarks.training_beside
    python -m benchmarks.training_beside --arch transformer lstm --optimizers adamw muon

A row gives the median over the turns of tokens a second, and of how many times those of the first
row of that size, in each turn, so that other work on the machine affects all equally. Whole steps
of the cell's loop, on one thread; `benchmarks.training_speed` has the batch.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.training_speed import BATCH, Stepper, cell_of, ratio, seconds_of
from harness.peak_memory import write_data
from trainers.ladder import archs
from trainers.optim import OPTIMIZERS

ARCHS = ["transformer", "lstm", "rglru", "hybrid"]


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    print("| size | arch | optimizer | tokens/s | times the first |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        for size in args.size:
            cells = [
                replace(cell_of(arch, size), optimizer=kind)
                for arch in args.arch
                for kind in args.optimizers
            ]
            steppers: dict[str, Callable[[], None]] = {
                cell.key: Stepper(cell, Path(folder)) for cell in cells
            }
            seconds = list(seconds_of(steppers, args.turns).values())
            for cell, found in zip(cells, seconds):
                speed = BATCH / statistics.median(found)
                times = ratio(seconds[0], found)
                row = (size, cell.arch, cell.optimizer, f"{speed:,.0f}", f"{times:.2f}")
                print(f"| {' | '.join(row)} |", flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, sizes = parser.add_argument, ["50k", "1M", "5M"]
    add("--size", nargs="+", default=sizes, help=f"[{' '.join(sizes)}]")
    add("--arch", nargs="+", default=ARCHS, choices=archs(), help=f"[{' '.join(ARCHS)}]")
    add("--optimizers", nargs="+", default=["adamw"], choices=OPTIMIZERS, help="[adamw]")
    add("--turns", type=int, default=15, help="steps of each contender [15]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
