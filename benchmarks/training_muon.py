"""Which rate Muon's matrices need: losses by rate, and by AdamW alone.

    python -m benchmarks.training_muon --data runs/data/folk-abc
    python -m benchmarks.training_muon --data runs/data/folk-abc --arch lstm --sizes 20k

The rest of a model keeps the architecture's own rate, by AdamW. The best of Muon's rates is in
bold; `trainers.optim.MUON_LR` is the one that is shipped.
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
    heads = [f"{rate:g}" for rate in args.rates]
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
            for rate in args.rates:
                optim.MUON_LR = rate
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
    add("--sizes", nargs="+", default=["9k", "50k"], help="[9k 50k]")
    add("--rates", nargs="+", type=float, default=[0.0125, 0.025, 0.05], help="[.0125 .025 .05]")
    add("--tokens", type=float, default=2e5, help="training tokens of a cell [200,000]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
