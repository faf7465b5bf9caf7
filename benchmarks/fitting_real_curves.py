"""Do real curves end where the laws say? Published isoFLOP runs, the largest budgets held out.

    python -m benchmarks.fitting_real_curves --tables FOLDER

FOLDER holds isoflops.csv: experiment, n_params, tokens, budget, loss, outlier. Prints in Markdown:
the surface L(N, D) and the law L(C) along the frontier, each with the last one, two and three
budgets held out; and how often real curves ended inside a law's interval at 3 and at 10 times its
range. "All" uses every run; "clean" leaves out those that the collectors marked as outliers, by
eye and after the fact, among them the two largest computes of Llama 3.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitting.law.extrapolation import extrapolate
from fitting.law.held_out import hold_out_largest, leave_one_out
from fitting.law.intervals import (
    Interval,
    alpha_interval,
    c_interval,
    prediction_interval,
    with_sampling_error,
)
from fitting.law.power_law import fit
from fitting.law.verdict import judge
from fitting.runs.axis import AXES
from fitting.runs.groups import SAME_SIZE, groups
from fitting.surface.fit import fit_surface
from fitting.surface.held_out import hold_out_these, surface_noise
from fitting.surface.isoflop import fit_frontier
from fitting.surface.law import surface_law
from fitting.surface.region import region
from harness.published import read_isoflops

Array = NDArray[np.float64]

MIN_POINTS = 5
FACTORS = {3: (2.0, 5.0), 10: (5.0, 20.0)}
"""What counts as 3 and as 10 times the fitted range."""


@dataclass(frozen=True)
class Curve:
    """Losses along one axis, all else equal."""

    name: str
    x: Array
    loss: Array


def frontier(runs: pd.DataFrame) -> Curve:
    """The least loss at each budget: a parabola's minimum, or where it has none the best run's."""
    best = runs.groupby("flops")["val_loss"].min()
    for curve in fit_frontier(runs["n_params"], runs["flops"], runs["val_loss"]).curves:
        nearest = best.index[int(np.argmin(np.abs(np.log(best.index / curve.flops))))]
        best[nearest] = float(curve.predict(curve.n_opt))
    return Curve("frontier", best.index.to_numpy(float), best.to_numpy(float))


def slices(runs: pd.DataFrame) -> Iterator[Curve]:
    """L(D) of each size that was trained at enough budgets."""
    size = groups(runs["n_params"], SAME_SIZE)
    for k in range(size.max() + 1):
        one = runs[size == k].sort_values("tokens")
        if len(one) > MIN_POINTS:
            name = f"N = {one['n_params'].mean():.3g}"
            yield Curve(name, one["tokens"].to_numpy(float), one["val_loss"].to_numpy(float))


def ended_inside(curves: Iterable[Curve], low: float, high: float) -> tuple[int, int, int]:
    """Of the points `low` to `high` times beyond what a law was fitted to: how many there are, how
    many lie inside its 95 % interval, and how many inside the interval with drift.

    Each curve is cut after each of its points that has enough before it.
    """
    found = [
        (curve.loss[k] in exact, curve.loss[k] in drifting)
        for curve in curves
        for cut in range(MIN_POINTS, len(curve.x))
        for k in np.flatnonzero(
            (curve.x >= low * curve.x[cut - 1]) & (curve.x < high * curve.x[cut - 1])
        )
        for exact, drifting in [predictions(curve, cut, int(k))]
    ]
    return len(found), sum(exact for exact, _ in found), sum(drifting for _, drifting in found)


def predictions(curve: Curve, cut: int, k: int) -> tuple[Interval, Interval]:
    """Of point `k`, by the law through the first `cut`: form taken as exact, and whatever it is."""
    law = fit(curve.x[:cut], curve.loss[:cut])
    beyond = extrapolate(law, curve.x[k])
    own = law.noise * beyond.then
    return (
        prediction_interval(law, curve.x[k]),
        with_sampling_error(beyond.by_form, beyond.then, own),
    )


def word(curve: Curve, cut: int) -> str:
    """The verdict on the law through the first `cut` points."""
    law = fit(curve.x[:cut], curve.loss[:cut])
    held_out, influence = hold_out_largest(law), leave_one_out(law)
    alpha, c = alpha_interval(law), c_interval(law)
    return judge(law, alpha, c, held_out, influence, cut, (), AXES["flops"]).word


def print_surface(sets: dict[str, pd.DataFrame]) -> None:
    """L(N, D), the largest budgets held out."""
    print("## L(N, D), the largest budgets held out\n")
    print("| runs | budgets out | runs out | inside, form taken as exact | inside | error | word |")
    print("| --- " * 7 + "|")
    counts: dict[str, list[int]] = {"all": [0, 0, 0], "clean": [0, 0, 0]}
    for name, runs in sets.items():
        n, d, loss = (runs[c].to_numpy(float) for c in ("n_params", "tokens", "val_loss"))
        budgets = np.unique(runs["flops"])
        for last in (1, 2, 3):
            out = np.isin(runs["flops"], budgets[-last:])
            held = hold_out_these(n, d, loss, out, "")
            exact = _inside_exact(n, d, loss, out)
            law = surface_law(runs[~out])
            assert law is not None
            m = int(out.sum())
            print(
                f"| {name} | {last} | {m} | {exact / m:.2f} | {held.inside:.2f} "
                f"| {100 * held.relative_error:+.2f} % | {law.word} |"
            )
            count = counts[name.split(", ")[-1]]
            count[0] += m
            count[1] += exact
            count[2] += round(held.inside * len(held.n))
    print_counts(counts)


def print_counts(counts: dict[str, list[int]]) -> None:
    """Shares inside: `counts` holds points, inside with the form taken as exact, inside."""
    for name, (points, exact, inside) in counts.items():
        print(f"\n{name}: {inside / points:.3f} of {points} inside; ", end="")
        print(f"{exact / points:.3f}, form taken as exact.")


def _inside_exact(n: Array, d: Array, loss: Array, out: NDArray[np.bool_]) -> int:
    """How many held-out runs lie inside where the form is trusted."""
    part = fit_surface(n[~out], d[~out], loss[~out], delta=None)
    noise = surface_noise(part)
    fitted = part.predict(n[out], d[out])
    own = noise.of_mean(1) / noise.leading[0] * fitted**2
    low, high = region(part, noise.excess()).loss_interval(n[out], d[out], own)
    return int(np.sum((low <= loss[out]) & (loss[out] <= high)))


def print_frontier(sets: dict[str, pd.DataFrame]) -> None:
    """L(C) along the frontier, the largest budgets held out."""
    print("\n## L(C) along the frontier, the largest budgets held out\n")
    print("| runs | budgets out | inside, form taken as exact | inside | worst error | word |")
    print("| --- " * 6 + "|")
    counts = {"all": [0, 0, 0], "clean": [0, 0, 0]}
    for name, runs in sets.items():
        curve = frontier(runs)
        for last in (1, 2, 3):
            cut = len(curve.x) - last
            law = fit(curve.x[:cut], curve.loss[:cut])
            found = [predictions(curve, cut, k) for k in range(cut, len(curve.x))]
            exact, inside = (
                sum(loss in interval for loss, interval in zip(curve.loss[cut:], each))
                for each in zip(*found)
            )
            error = law.predict(curve.x[cut:]) / curve.loss[cut:] - 1
            worst = error[np.argmax(np.abs(error))]
            print(
                f"| {name} | {last} | {exact} of {last} | {inside} of {last} "
                f"| {100 * worst:+.2f} % | {word(curve, cut)} |"
            )
            count = counts[name.split(", ")[-1]]
            count[0] += last
            count[1] += exact
            count[2] += inside
    print_counts(counts)


def print_record(sets: dict[str, pd.DataFrame]) -> None:
    """How often real curves ended inside, by how far beyond the fitted range."""
    print("\n## How often real curves ended inside the 95 % interval\n")
    print("| curves | " + " | ".join(f"{f} x, form exact | {f} x" for f in FACTORS) + " |")
    print("| --- " * (1 + 2 * len(FACTORS)) + "|")
    for kind in ("all", "clean"):
        chosen = [runs for name, runs in sets.items() if name.endswith(kind)]
        by_name = {
            "L(C), frontiers": [frontier(runs) for runs in chosen],
            "L(D), one size each": [curve for runs in chosen for curve in slices(runs)],
        }
        by_name["together"] = [curve for curves in by_name.values() for curve in curves]
        for name, curves in by_name.items():
            cells = []
            for low, high in FACTORS.values():
                total, exact, inside = ended_inside(curves, low, high)
                cells += [f"{n / max(total, 1):.2f} ({n} of {total})" for n in (exact, inside)]
            print(f"| {name}, {kind} ({len(curves)} curves) | {' | '.join(cells)} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, required=True, help="folder with isoflops.csv")
    sets = read_isoflops(parser.parse_args().tables)
    print_surface(sets)
    print_frontier(sets)
    print_record(sets)


if __name__ == "__main__":
    main()
