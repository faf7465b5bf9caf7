"""Which rate Muon's matrices need, as a multiple of AdamW's; and the losses by AdamW alone.

    python -m benchmarks.training_muon --data runs/data/folk-abc
    python -m benchmarks.training_muon --data runs/data/folk-abc --arch lstm --sizes 20k

AdamW's own rate, which the rest of a model keeps, is that of the architecture. The best multiple is
in bold; `trainers.optim.MUON_RATE` is the one that is shipped.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from data.store.manifest import read_manifest
from harness.alone import train_alone
from trainers import optim
from trainers.batches import in_batches
from trainers.cell import Cell
from trainers.curve import DivergedError
from trainers.ladder import archs, load_arch

BATCH, CONTEXT = 1024, 256


def loss(cell: Cell, data: Path) -> float:
    """On the validation split; infinite if the cell diverged."""
    try:
        return train_alone(cell, data)["val_loss"]
    except DivergedError:
        return math.inf


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    manifest = read_manifest(args.data)
    heads = [f"{multiple:g}" for multiple in args.multiples]
    print(f"| arch | size | AdamW | {' | '.join(heads)} |")
    print("| --- " * (len(heads) + 3) + "|")
    fixed = (in_batches(args.tokens, BATCH), BATCH, CONTEXT, 0.1, 1.0, manifest.tokenizer)
    for arch in args.arch:
        for size in args.sizes:
            data = (manifest.vocab_size, manifest.fingerprint)
            by = {
                kind: Cell(arch, size, 0, load_arch(arch).LR, *fixed, *data, optimizer=kind)
                for kind in optim.OPTIMIZERS
            }
            adamw, found = loss(by["adamw"], args.data), []
            for multiple in args.multiples:
                optim.MUON_RATE = multiple
                found.append(loss(by["muon"], args.data))
            cells = [f"**{each:.3f}**" if each == min(found) else f"{each:.3f}" for each in found]
            print(f"| {arch} | {size} | {adamw:.3f} | {' | '.join(cells)} |", flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a folder made by python -m data.prepare")
    add("--arch", nargs="+", default=archs(), help="architectures [all]")
    add("--sizes", nargs="+", default=["20k", "120k"], help="[20k 120k]")
    add("--multiples", nargs="+", type=float, default=[0.4, 0.8, 1.6, 3.2], help="[.4 .8 1.6 3.2]")
    add("--tokens", type=float, default=5e5, help="training tokens of a cell [500,000]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
