"""Which learning rate, batch and weight decay is best, by a model's size and its budget?

    python -m data.prepare --source folk --out runs/data/folk-abc
    python -m benchmarks.training_budgets --data runs/data/folk-abc --out runs/budgets

Trains three sizes with three budgets each, by every rate and batch, and every rate and weight
decay; a cell's result is a file, so the same command goes on where it was interrupted. Then one
surface is fitted to the losses near the best of each size and budget,

    L = L(N, D) + k (log(lr / lr'))^2 + h (log(B / B'))^2
    lr' = lr0 (N / 50k)^n (D / .8M)^d (B / 512)^b,   B' = B0 (N / 50k)^m (D / .8M)^e

with rates as multiples of those that Crescendo's rule gives: a rule that holds has exponents of 0.
Intervals are at 95 %, from losses drawn anew, residuals and all. For weight decay w the same is
fitted with AdamW's timescale 1 / (lr w), in tokens (Wang & Aitchison 2024, "How to set AdamW's
weight decay as you scale model and dataset size"), in the place of the batch, and the geometric
mean of those that were tried in the place of 512.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.training_noise import Trial, run_missing
from data.store.manifest import read_manifest
from harness.optima import NAMES, NEAR, Point, intervals, near_best
from trainers.ladder import parse_size

BATCH, WEIGHT_DECAY, CONTEXT = 512, 0.1, 128


def means(
    trials: list[Trial], out: Path, other: Callable[[Trial], float]
) -> tuple[list[Point], list[float]]:
    """A point for each combination that was trained; and the seeds' deviations."""
    seeds: dict[tuple[float, float, float, float], list[float]] = {}
    for trial in trials:
        path = out / f"{trial.name}.json"
        loss = json.loads(path.read_text()).get("val_loss") if path.exists() else None
        if loss is not None:
            key = (parse_size(trial.size), trial.millions * 1e6, trial.rate, other(trial))
            seeds.setdefault(key, []).append(loss)
    spreads = [float(np.std(losses, ddof=1)) for losses in seeds.values() if losses[1:]]
    return [Point(*key, float(np.mean(losses))) for key, losses in seeds.items()], spreads


def tell(title: str, points: list[Point], spreads: list[float], names: list[str]) -> None:
    """Print the losses, a row for each size, budget and `other`, and what is fitted to them."""
    rates = sorted({each.rate for each in points})
    others = sorted({each.other for each in points})
    found = {(each.size, each.tokens, each.other, each.rate): each.loss for each in points}
    print(f"\n| size | tokens | {title} | {' | '.join(f'{rate:g}x' for rate in rates)} |")
    print("| --- " * (len(rates) + 3) + "|")
    for key in sorted({(each.size, each.tokens, each.other) for each in points}):
        losses = [f"{found[*key, rate]:.3f}" if (*key, rate) in found else "" for rate in rates]
        size, tokens, value = key
        print(f"| {size:,.0f} | {tokens / 1e6:g}M | {value:,.4g} | {' | '.join(losses)} |")
    near = near_best(points)
    middle = math.exp(np.mean(np.log(others)))
    best, (low, high), left = intervals(near, middle)
    seeds = math.sqrt(np.mean(np.square(spreads))) if spreads else math.nan
    print(f"\n{len(near)} of {len(points)} are within {NEAR} of the best of their size and budget")
    print(f"standard deviations: residuals {left:.4f}, seeds {seeds:.4f}\n")
    print("| | value | 95 % interval |\n| --- | --- | --- |")
    for index, name in enumerate(names):
        three = np.array([best[index], low[index], high[index]])
        if NAMES[index] in ("rate", "other"):
            three = np.exp(three) * (middle if NAMES[index] == "other" else 1.0)
        print("| {} | {:,.3g} | [{:,.3g}, {:,.3g}] |".format(name, *three))


def main() -> int:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    settings = (
        [(batch, WEIGHT_DECAY) for batch in args.batches],
        [(BATCH, weight_decay) for weight_decay in args.weight_decays],
    )
    by_batch, by_decay = (
        [
            Trial(args.arch, size, of, rate, batch, CONTEXT, "cosine", 0.2, weight_decay, seed)
            for size, of, rate, (batch, weight_decay), seed in product(
                args.sizes, args.millions, args.rates, chosen, args.seeds
            )
        ]
        for chosen in settings
    )
    if not args.table:
        run_missing(list(dict.fromkeys(by_batch + by_decay)), args.data, args.out, args.processes)

    manifest = read_manifest(args.data)
    points, spreads = means(by_batch, args.out, lambda each: float(each.batch))
    tell("batch", points, spreads, [name.replace("other", "batch") for name in NAMES])

    def timescale(trial: Trial) -> float:
        rate = trial.cell(manifest).peak_rates.hidden
        return trial.batch / (rate * trial.weight_decay)

    points, spreads = means(by_decay, args.out, timescale)
    tell("timescale", points, spreads, [name.replace("other", "timescale") for name in NAMES])
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="made by data.prepare")
    add("--out", type=Path, required=True, help="a folder for results")
    add("--arch", default="lstm", help="[lstm]")
    add("--sizes", nargs="+", default=["9k", "50k", "120k"], help="[9k 50k 120k]")
    add("--millions", nargs="+", type=float, default=[0.4, 0.8, 1.6], help="[.4 .8 1.6]")
    add("--rates", nargs="+", type=float, default=[0.25, 0.5, 1.0, 2.0], help="[.25 .5 1 2]")
    add("--batches", nargs="+", type=int, default=[256, 512, 1024], help="[256 512 1024]")
    add("--weight-decays", nargs="+", type=float, default=[0.03, 0.1, 0.3, 1.0], help="[.03 to 1]")
    add("--seeds", nargs="+", type=int, default=[100, 101], help="[100 101]")
    add("--processes", type=int, default=2, help="side by side, one thread each [2]")
    add("--table", action="store_true", help="only print the tables")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
