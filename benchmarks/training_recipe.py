"""Our recipe against the classic one, on the same tokens: 1M and 5M of each architecture.

    python -m benchmarks.training_recipe --data DIR --out runs/recipe

Classic: a constant rate of 3e-4 for every size and parameter, no warm-up, decay .01, batches of 50
thousand tokens. Each cell is `python -m trainers.train`, so the same command resumes after an
interruption and skips what has ended. `--table` prints the results so far.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from data.store.location import Location
from trainers.ladder import archs
from trainers.records import Record, read_record

CONTEXT = 512
RECIPES = {
    "ours": f"--batch-tokens 1024 --context {CONTEXT}",
    "classic": f"--batch-tokens 50176 --context {CONTEXT} --lr 3e-4 --schedule constant "
    "--rates flat --weight-decay 0.01",
}


def main() -> int:
    args = parse_args()
    cells = [(a, s, r) for s in args.sizes for a in archs() for r in args.recipes]
    for arch, size, recipe in [] if args.table else cells:
        folder = args.out / f"{arch}-{size}-{recipe}"
        if ended(folder) is None:
            words = f"--arch {arch} --size {size} --tokens {args.tokens} {RECIPES[recipe]}".split()
            command = [sys.executable, "-m", "trainers.train", *words]
            command += ["--data", str(args.data), "--out", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode and ended(folder) is None:
                reason = "".join(done.stderr.strip().splitlines()[-1:])
                print(f"training_recipe: {arch} {size} {recipe}: {reason}", file=sys.stderr)
                return 1
    print("| arch | size | recipe | parameters | val loss | s.e. | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for arch, size, recipe in cells:
        found = ended(args.out / f"{arch}-{size}-{recipe}")
        if found and found.measured:
            m = found.measured
            numbers = f"{m['n_params']:,.0f} | {m['val_loss']:.4f}"
            numbers += f" | {m['val_loss_se']:.4f} | {m['seconds']:.0f}"
        else:
            numbers = f"– | {found.reason if found else 'to train'} | – | –"
        print(f"| {arch} | {size} | {recipe} | {numbers} |")
    return 0


def ended(folder: Path) -> Record | None:
    """What is left of the cell, if it has ended."""
    cells = Location.of(folder / "cells")
    found = [read_record(cells, each.name) for each in cells.children()]
    return next((record for record in found if record), None)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="made by data.prepare")
    parser.add_argument("--out", type=Path, required=True, help="a folder for cells and results")
    parser.add_argument("--sizes", nargs="+", default=["1M", "5M"], help="of the models [1M 5M]")
    parser.add_argument("--tokens", default="3M", help="to train each on [3M]")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), help="[ours classic]")
    parser.add_argument("--table", action="store_true", help="only print the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
