"""How far do seeds spread, and what do rate, batch, context, budget and decays change beside that?

    python -m data.prepare --source folk --out runs/data/folk-abc
    python -m benchmarks.training_noise --data runs/data/folk-abc --out runs/noise --sizes 4k 9k

Trains every combination of what the arguments list. Every cell's result is a file, so the same
command goes on where it was interrupted. The table has, for each combination, the mean and the
standard deviation over its seeds, and the mean of the processor's seconds that a cell took.
`--table` only prints it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import torch

from data.store.manifest import Manifest, read_manifest
from harness.alone import train_alone
from trainers import optim
from trainers.cell import Cell
from trainers.ladder import load_arch, parse_size


@dataclass(frozen=True)
class Trial:
    arch: str
    size: str
    millions: float
    rate: float
    """A multiple of the architecture's own."""
    batch: int
    context: int
    schedule: str
    decay: float
    """The share of the cell over which `wsd` decays."""
    weight_decay: float
    seed: int

    @property
    def name(self) -> str:
        shape = f"{self.arch}-{self.size}-{self.millions:g}M-{self.rate:g}x"
        fed = f"batch{self.batch}-context{self.context}"
        ends = f"wsd{self.decay:g}" if self.schedule == "wsd" else self.schedule
        return f"{shape}-{fed}-{ends}-decay{self.weight_decay:g}-seed{self.seed}"

    def cell(self, data: Manifest) -> Cell:
        return Cell(
            arch=self.arch,
            size=self.size,
            seed=self.seed,
            lr=self.rate * load_arch(self.arch).LR,
            tokens=round(self.millions * 1e6 / self.batch) * self.batch,
            batch_tokens=self.batch,
            context=self.context,
            weight_decay=self.weight_decay,
            clip=1.0,
            tokenizer=data.tokenizer,
            vocab_size=data.vocab_size,
            data=data.fingerprint,
            schedule=self.schedule,
        )


def run(trial: Trial, data: Path, out: Path) -> str:
    """Train it alone on one thread and write what it measured."""
    torch.set_num_threads(1)
    cell = trial.cell(read_manifest(data))
    before = time.process_time()
    with mock.patch.object(optim, "DECAY_SHARE", trial.decay):
        measured = train_alone(cell, data)
    measured["processor_seconds"] = time.process_time() - before
    path = out / f"{trial.name}.json"
    path.with_suffix(".tmp").write_text(json.dumps(measured, indent=1))
    path.with_suffix(".tmp").rename(path)
    return f"{trial.name} {measured.get('val_loss', float('nan')):.4f}"


def run_missing(trials: list[Trial], data: Path, out: Path, processes: int) -> None:
    """Train those that have no result, side by side."""
    missing = [trial for trial in trials if not (out / f"{trial.name}.json").exists()]
    # The longest first, so that the processes end together.
    missing.sort(key=lambda trial: -trial.millions * parse_size(trial.size) ** 0.5)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        started = [pool.submit(partial(run, trial, data, out)) for trial in missing]
        for done in as_completed(started):
            print(done.result(), flush=True)


def print_table(trials: list[Trial], out: Path) -> None:
    """A row for each combination, its seeds together."""
    of = "arch | size | tokens | rate | batch | context | ends | weight decay"
    print(f"| {of} | by seed | mean | s.d. | s |")
    print("| --- " * 12 + "|")
    rows: dict[str, list[Trial]] = {}
    for trial in trials:
        rows.setdefault(trial.name.rpartition("-")[0], []).append(trial)
    for row in rows.values():
        paths = [out / f"{trial.name}.json" for trial in row]
        found = [json.loads(path.read_text()) for path in paths if path.exists()]
        losses = [each["val_loss"] for each in found if "val_loss" in each]
        if not losses:
            continue
        first = row[0]
        decay = f" {first.decay:g}" if first.schedule == "wsd" else ""
        spread = f"{statistics.stdev(losses):.4f}" if losses[1:] else ""
        print(
            f"| {first.arch} | {first.size} | {first.millions:g}M | {first.rate:g}x | "
            f"{first.batch} | {first.context} | {first.schedule}{decay} | {first.weight_decay:g} | "
            f"{', '.join(f'{loss:.3f}' for loss in losses)} | {statistics.mean(losses):.4f} | "
            f"{spread} | {statistics.mean(each['processor_seconds'] for each in found):.0f} |"
        )


def main() -> int:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    of = (args.archs, args.sizes, args.millions, args.rates, args.batches, args.contexts)
    found = product(*of, [args.schedule], args.decays, args.weight_decays, args.seeds)
    trials = [Trial(*values) for values in found]
    if not args.table:
        run_missing(trials, args.data, args.out, args.processes)
    print_table(trials, args.out)
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="made by data.prepare")
    add("--out", type=Path, required=True, help="a folder for results")
    add("--archs", nargs="+", default=["transformer", "lstm"], help="[transformer lstm]")
    add("--sizes", nargs="+", default=["4k", "9k", "20k"], help="of the models")
    add("--millions", nargs="+", type=float, default=[2.0], help="budgets, millions of tokens [2]")
    add("--rates", nargs="+", type=float, default=[1.0], help="multiples of its own rate [1]")
    add("--batches", nargs="+", type=int, default=[1024], help="tokens a step [1024]")
    add("--contexts", nargs="+", type=int, default=[256], help="in tokens [256]")
    add("--schedule", choices=list(optim.SCHEDULES), default="cosine", help="[cosine]")
    add("--decays", nargs="+", type=float, default=[optim.DECAY_SHARE], help="shares, for wsd")
    add("--weight-decays", nargs="+", type=float, default=[0.1], help="[0.1]")
    add("--seeds", nargs="+", type=int, default=[100, 101, 102, 103], help="[100 to 103]")
    add("--processes", type=int, default=2, help="side by side, one thread each [2]")
    add("--table", action="store_true", help="only print the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
