"""How wide should an attention head be? The same transformer with heads of several widths.

    python -m data.prepare --source folk --out runs/data/folk-abc
    python -m benchmarks.training_heads --data runs/data/folk-abc --out runs/heads

Each size keeps its parameters: the width of the model is the nearest to the ladder's that the head
divides. Every cell's result is a file, so the same command goes on where it was interrupted.
`--table` prints what there is, and the speed of steps taken in turns, by processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from torch.nn import functional as F

from data.store.manifest import read_manifest
from harness.alone import train_alone
from trainers.cell import Cell
from trainers.ladder import LadderError, rung
from trainers.models import transformer

BATCH_TOKENS, CONTEXT = 1024, 256
HEADS = (16, 32, 64, 48, 24, 8)
SEEDS = (0, 1)
BUDGETS = {"50k": (1, 2), "300k": (1, 2), "1M": (1, 2), "5M": (0.5, 1)}
"""Millions of tokens."""
VOCABULARY, TURNS, STEPS = 139, 9, 3
"""Of the measurement of speed."""


@dataclass(frozen=True)
class Trial:
    size: str
    head: int
    millions: float
    seed: int
    rate: float
    """A multiple of the architecture's own."""

    @property
    def name(self) -> str:
        return f"{self.size}-{self.head}-{self.millions:g}M-seed{self.seed}-{self.rate:g}x"


def trials(sizes: list[str], heads: list[int], rates: list[float]) -> Iterator[Trial]:
    for seed in SEEDS:
        for size in sizes:
            for head in heads:
                for millions in BUDGETS[size]:
                    for rate in rates:
                        yield Trial(size, head, millions, seed, rate)


@contextlib.contextmanager
def heads_of(head: int) -> Iterator[None]:
    """The ladder, with heads of this width and model widths that it divides."""
    widths = [width for width in transformer._widths() if width % head == 0]
    with (
        mock.patch.object(transformer, "_n_heads", lambda d_model: d_model // head),
        mock.patch.object(transformer, "_widths", side_effect=lambda: iter(widths)),
    ):
        yield


def run(trial: Trial, data: Path, out: Path) -> None:
    """Train it and write what it measured; or that the ladder has no such shape."""
    manifest = read_manifest(data)
    batches = round(trial.millions * 1e6 / BATCH_TOKENS)
    cell = Cell(
        arch="transformer",
        size=trial.size,
        seed=trial.seed,
        lr=trial.rate * transformer.LR,
        tokens=batches * BATCH_TOKENS,
        batch_tokens=BATCH_TOKENS,
        context=CONTEXT,
        weight_decay=0.1,
        clip=1.0,
        tokenizer=manifest.tokenizer,
        vocab_size=manifest.vocab_size,
        data=manifest.fingerprint,
    )
    with heads_of(trial.head):
        try:
            shape = cell.rung.shape
        except LadderError as error:
            write(out / f"{trial.name}.json", {"none": str(error)})
            return
        measured = train_alone(cell, data)
    write(out / f"{trial.name}.json", measured | {"shape": vars(shape)})


def write(path: Path, found: dict) -> None:
    path.with_suffix(".tmp").write_text(json.dumps(found, indent=1))
    path.with_suffix(".tmp").rename(path)


def tokens_per_second(size: str, heads: list[int], vocab_size: int) -> dict[int, float]:
    """By width of the head: the median over turns in which each takes a few steps."""
    models = {}
    for head in heads:
        with heads_of(head), contextlib.suppress(LadderError):
            models[head] = rung("transformer", size, vocab_size, CONTEXT).build()
    rates: dict[int, list[float]] = {head: [] for head in models}
    tokens = torch.randint(vocab_size, (BATCH_TOKENS // CONTEXT, CONTEXT))
    for _ in range(TURNS):
        for head, model in models.items():
            started = time.process_time()
            for _ in range(STEPS):
                logits = model(tokens)
                F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
                model.zero_grad()
            rates[head].append(STEPS * BATCH_TOKENS / (time.process_time() - started))
    return {head: statistics.median(found) for head, found in rates.items()}


def print_table(sizes: list[str], heads: list[int], rates: list[float], out: Path) -> None:
    print("| size | head | model | tokens | rate | val loss, by seed | mean | tokens/s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for size in sizes:
        speed = tokens_per_second(size, heads, VOCABULARY)
        for millions in BUDGETS[size]:
            for head in sorted(heads):
                for rate in rates:
                    row = [Trial(size, head, millions, seed, rate) for seed in SEEDS]
                    paths = [out / f"{trial.name}.json" for trial in row]
                    found = [json.loads(path.read_text()) for path in paths if path.exists()]
                    found = [each for each in found if "val_loss" in each]
                    if not found:
                        continue
                    shape = found[0]["shape"]
                    losses = [each["val_loss"] for each in found]
                    print(
                        f"| {size} | {shape['n_heads']} x {head} | {shape['d_model']} x "
                        f"{shape['n_layers']}, {shape['d_ff']} | {millions:g}M | {rate:g}x | "
                        f"{', '.join(f'{loss:.3f}' for loss in losses)} | "
                        f"{statistics.mean(losses):.3f} | {speed[head]:,.0f} |"
                    )


def main() -> int:
    args = parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    for trial in [] if args.table else trials(args.sizes, args.heads, args.rates):
        if not (args.out / f"{trial.name}.json").exists():
            run(trial, args.data, args.out)
            print(trial.name, flush=True)
    print_table(args.sizes, args.heads, args.rates, args.out)
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="made by data.prepare")
    parser.add_argument("--out", type=Path, required=True, help="a folder for results")
    parser.add_argument("--sizes", nargs="+", default=list(BUDGETS), help="of the models [all]")
    parser.add_argument("--heads", nargs="+", type=int, default=list(HEADS), help="widths [all]")
    parser.add_argument("--rates", nargs="+", type=float, default=[1.0], help="multiples [1]")
    parser.add_argument("--table", action="store_true", help="only print the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
