"""Which learning rate is best at which width: the table and the plot of a sweep over rates.

    python sweeps/run_grid.py --grid lr
    python -m benchmarks.training_rates runs/lr --plot docs/rates.png

Losses by multiples of each architecture's own rate, at each size of the grid. The best is in bold.
Beside it is the minimum of the parabola through the best point and its neighbours, in log rate,
which shows how far apart the optima of two widths are.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from trainers.ladder import load_arch, parse_size
from trainers.records import Record

Losses = dict[float, float]
"""Validation loss by multiple of the architecture's own rate; infinite where it diverged."""


def read(sweep: Path) -> dict[str, dict[str, Losses]]:
    """By architecture and size, the smallest size first."""
    found: dict[str, dict[str, Losses]] = defaultdict(lambda: defaultdict(dict))
    records = [Record(**json.loads(path.read_text())) for path in sweep.glob("cells/*/record.json")]
    for record in sorted(records, key=lambda record: parse_size(record.params["size"])):
        arch, size, lr = (record.params[name] for name in ("arch", "size", "lr"))
        loss = record.measured.get("val_loss", math.inf)
        found[arch][size][lr / load_arch(arch).LR] = loss
    return found


def width(arch: str, size: str, sweep: Path) -> int:
    """Of the model with this size."""
    path = next(sweep.glob(f"cells/{arch}-{size}-*/record.json"))
    params = json.loads(path.read_text())["params"]
    shape = {k.removeprefix("shape_"): v for k, v in params.items() if k.startswith("shape_")}
    return load_arch(arch).Shape(**shape).width


def optimum(losses: Losses) -> float:
    """The multiple at the minimum of the parabola through the best point and its neighbours; the
    best point itself if that is the first or last, or a neighbour diverged."""
    multiples = sorted(losses)
    best = min(range(len(multiples)), key=lambda index: losses[multiples[index]])
    near = multiples[max(0, best - 1) : best + 2]
    if len(near) < 3 or not all(math.isfinite(losses[multiple]) for multiple in near):
        return multiples[best]
    a, b, _ = np.polyfit(np.log2(near), [losses[multiple] for multiple in near], 2)
    return float(2 ** (-b / (2 * a)))


def print_table(found: dict[str, dict[str, Losses]], sweep: Path) -> None:
    multiples = sorted({m for sizes in found.values() for losses in sizes.values() for m in losses})
    print(f"| arch | size | width | {' | '.join(f'{m:g}x' for m in multiples)} | optimum |")
    print("| --- " * (len(multiples) + 4) + "|")
    for arch, sizes in found.items():
        for size, losses in sizes.items():
            best = min(losses.values())
            row = [_cell(losses.get(multiple), best) for multiple in multiples]
            head = f"| {arch} | {size} | {width(arch, size, sweep)} | "
            print(f"{head}{' | '.join(row)} | {optimum(losses):.2f}x |")
        optima = [optimum(losses) for losses in sizes.values()]
        print(f"\n{arch}: the optima span a factor of {max(optima) / min(optima):.2f}\n")


def _cell(loss: float | None, best: float) -> str:
    if loss is None:
        return ""
    if not math.isfinite(loss):
        return "diverged"
    return f"**{loss:.3f}**" if loss == best else f"{loss:.3f}"


def plot(found: dict[str, dict[str, Losses]], path: Path) -> None:
    figure, axes = plt.subplots(
        1, len(found), figsize=(3.6 * len(found), 3.4), squeeze=False, layout="constrained"
    )
    for axis, (arch, sizes) in zip(axes[0], found.items()):
        shades = plt.get_cmap("viridis")(np.linspace(0.85, 0.1, len(sizes)))
        for (size, losses), shade in zip(sizes.items(), shades):
            points = sorted((m, loss) for m, loss in losses.items() if math.isfinite(loss))
            axis.plot(*zip(*points), "o-", color=shade, label=size, markersize=4)
            axis.axvline(optimum(losses), color=shade, linewidth=0.8, linestyle=":")
        axis.set_xscale("log", base=2)
        axis.set_xticks(points_of(sizes), [f"{m:g}x" for m in points_of(sizes)])
        axis.set_title(f"{arch}, 1x = {load_arch(arch).LR}", fontsize=10)
        axis.set_xlabel("learning rate")
    lines, names = axes[0][0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=len(lines), frameon=False)
    axes[0][0].set_ylabel("val_loss, nats per token")
    figure.savefig(path, dpi=140)


def points_of(sizes: dict[str, Losses]) -> list[float]:
    return sorted({multiple for losses in sizes.values() for multiple in losses})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sweep", type=Path, help="the folder of a sweep over rates")
    parser.add_argument("--plot", type=Path, help="write the plot here")
    args = parser.parse_args()
    found = read(args.sweep)
    print_table(found, args.sweep)
    if args.plot:
        plot(found, args.plot)


if __name__ == "__main__":
    main()
