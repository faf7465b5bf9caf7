"""Does the interval cover, and does the verdict err? Simulated sweeps with a known answer.

    python benchmarks/fitting_coverage.py [--draws 200] [--designs 5x1 8x3]

Prints two tables in Markdown. Coverage: how often the 95 % intervals of alpha, of c and of the
held-out largest size contain the truth, over the sweeps whose verdict is not "not supported".
Verdicts: how often losses that follow no power law are called supported, and true laws are not.
Sizes span a factor of 100; noise is relative to the loss.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import Pool

import numpy as np
from numpy.typing import NDArray

from fitting.intervals import alpha_interval, c_interval
from fitting.power_law import fit
from fitting.self_test import hold_out_largest, leave_one_out
from fitting.verdict import judge

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]

DESIGNS = ((5, 1), (8, 1), (5, 3), (8, 3))
NOISES = (0.002, 0.005, 0.02)
ALPHAS = (0.05, 0.1, 0.2, 0.35, 0.5)
FRACTIONS = (0.0, 0.3, 0.6, 0.8)
"""c over the loss of the smallest size."""
SMALLEST, LARGEST = 3e3, 3e5


@dataclass(frozen=True)
class Outcome:
    """One simulated sweep."""

    word: str
    covers_alpha: bool
    covers_c: bool
    covers_held_out: bool


def simulate(
    curve: Curve,
    sizes: int,
    seeds: int,
    noise: float,
    rng: np.random.Generator,
    truth: tuple[float, float] = (np.nan, np.nan),
    diverged: float = 1.0,
) -> Outcome:
    """Draw a sweep from `curve` and judge it. One run, at random, has its loss times `diverged`."""
    n = np.repeat(np.geomspace(SMALLEST, LARGEST, sizes), seeds)
    loss = curve(n / SMALLEST) * np.exp(noise * rng.standard_normal(len(n)))
    loss[rng.integers(len(n))] *= diverged
    law = fit(n, loss)
    alpha, c = alpha_interval(law), c_interval(law)
    held_out = hold_out_largest(law)
    verdict = judge(law, alpha, c, held_out, leave_one_out(law), sizes, ())
    return Outcome(
        verdict.word,
        truth[0] in alpha,
        truth[1] in c,
        held_out is None or held_out.observed in held_out.interval,
    )


def power(alpha: float, fraction: float) -> Curve:
    """A true law: loss 3 at the smallest size, of which `fraction` is c."""
    return lambda n: 3 * ((1 - fraction) * n**-alpha + fraction)


def broken(first: float, second: float) -> Curve:
    """Two power laws that meet in the middle of the sizes (a factor of 10)."""
    return lambda n: 3 * np.where(n < 10, n**-first, 10**-first * (n / 10) ** -second)


NOT_LAWS: dict[str, tuple[Curve, float]] = {
    "no trend": (lambda n: np.full_like(n, 3.0), 1.0),
    "rising": (lambda n: 3 * n**0.02, 1.0),
    "logarithmic, steep": (lambda n: 3 - 0.35 * np.log(n), 1.0),
    "logarithmic, gentle": (lambda n: 3 - 0.1 * np.log(n), 1.0),
    "broken, flattening": (broken(0.3, 0.05), 1.0),
    "broken, steepening": (broken(0.05, 0.3), 1.0),
    "broken, then flat": (broken(0.2, 0.0), 1.0),
    "one cell diverged (loss x 1.5)": (power(0.3, 0.4), 1.5),
    "one cell diverged (loss x 3)": (power(0.3, 0.4), 3.0),
}


def coverage_row(setting: tuple[int, int, float, float, float], draws: int) -> list[float]:
    """Rates over `draws` sweeps of one setting: kept, and coverage of alpha, c and held-out."""
    sizes, seeds, noise, alpha, fraction = setting
    rng = np.random.default_rng([sizes, seeds, *(int(1000 * v) for v in (noise, alpha, fraction))])
    curve = power(alpha, fraction)
    found = [simulate(curve, sizes, seeds, noise, rng, (alpha, 3 * fraction)) for _ in range(draws)]
    kept = [o for o in found if o.word != "not supported"]
    counts = [len(kept), sum(o.word == "supported" for o in found)]
    counts += [sum(getattr(o, f"covers_{name}") for o in kept) for name in ("alpha", "c")]
    return [*counts, sum(o.covers_held_out for o in kept)]


def verdict_row(task: tuple[str, int, int, float], draws: int) -> list[float]:
    """Fractions supported, weak and not supported of sweeps that follow no power law."""
    name, sizes, seeds, noise = task
    rng = np.random.default_rng([sizes, seeds, int(1000 * noise), list(NOT_LAWS).index(name)])
    curve, diverged = NOT_LAWS[name]
    words = [
        simulate(curve, sizes, seeds, noise, rng, diverged=diverged).word for _ in range(draws)
    ]
    return [words.count(word) / draws for word in ("supported", "weak", "not supported")]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200, help="sweeps a setting (default: 200)")
    parser.add_argument(
        "--designs",
        nargs="+",
        choices=[f"{sizes}x{seeds}" for sizes, seeds in DESIGNS],
        default=[f"{sizes}x{seeds}" for sizes, seeds in DESIGNS],
        help="sizes x seeds to simulate (default: all four)",
    )
    parser.add_argument("--processes", type=int, default=1, help="processes (default: 1)")
    args = parser.parse_args()
    designs = [(sizes, seeds) for sizes, seeds in DESIGNS if f"{sizes}x{seeds}" in args.designs]
    settings = [(*d, n, a, f) for d, n, a, f in product(designs, NOISES, ALPHAS, FRACTIONS)]
    tasks = [(name, *d, n) for name, d, n in product(NOT_LAWS, designs, NOISES)]
    with Pool(args.processes) as pool:
        covered = np.array(pool.map(partial(coverage_row, draws=args.draws), settings, 1))
        judged = np.array(pool.map(partial(verdict_row, draws=args.draws), tasks, 1))
    print_coverage(settings, covered, args.draws)
    print_missed(settings, covered, args.draws)
    print_verdicts(tasks, judged)


def print_coverage(settings: list[tuple], covered: Array, draws: int) -> None:
    """Pooled over alpha and c / L, then the settings that lie outside .93 to .97."""
    print("## Coverage of nominal 95 % intervals, over the sweeps that were not rejected\n")
    print("| sizes x seeds | noise | not rejected | alpha | c | c > 0 | c = 0 | held-out |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    keys = [setting[:3] for setting in settings]
    for key in dict.fromkeys(keys):
        rows = np.array([k == key for k in keys])
        zero = rows & np.array([setting[4] == 0 for setting in settings])
        kept = covered[rows, 0].sum()
        c_all, c_in, c_at_0 = (
            covered[m, 3].sum() / covered[m, 0].sum() for m in (rows, rows & ~zero, zero)
        )
        print(
            f"| {key[0]} x {key[1]} | {key[2]} | {kept / rows.sum() / draws:.3f} "
            f"| {covered[rows, 2].sum() / kept:.3f} | {c_all:.3f} | {c_in:.3f} | {c_at_0:.3f} "
            f"| {covered[rows, 4].sum() / kept:.3f} |"
        )
    kept = np.maximum(covered[:, 0], 1)
    error = np.sqrt(0.95 * 0.05 / kept)
    for name, column in (("alpha", 2), ("c", 3)):
        rate = covered[:, column] / kept
        low = [i for i in range(len(rate)) if rate[i] < 0.93 - 2 * error[i]]
        high = [i for i in range(len(rate)) if rate[i] > 0.97 + 2 * error[i]]
        print(f"\n{name}: of {len(rate)} settings, {len(low)} below .93 and", end=" ")
        print(f"{len(high)} above .97 by more than two standard errors.")
        for i in low:
            print(f"- low: {settings[i]}: {rate[i]:.3f} of {covered[i, 0]:.0f}")


def print_missed(settings: list[tuple], covered: Array, draws: int) -> None:
    """True laws at 8 sizes x 3 seeds, noise .005: how often each word is said of them."""
    print("\n## True laws, 8 sizes x 3 seeds, noise .005\n")
    print("| alpha | c / L | supported | weak | not supported |")
    print("| --- | --- | --- | --- | --- |")
    for setting, row in zip(settings, covered / draws):
        if setting[:3] == (8, 3, 0.005):
            weak = row[0] - row[1]
            print(f"| {setting[3]} | {setting[4]} | {row[1]:.3f} | {weak:.3f} | {1 - row[0]:.3f} |")


def print_verdicts(tasks: list[tuple], judged: Array) -> None:
    """Losses that are no power law: rate of each verdict, by the worst noise."""
    print("\n## Losses that follow no power law\n")
    print("| losses | sizes x seeds | noise | supported | weak | not supported |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (name, sizes, seeds, noise), row in zip(tasks, judged):
        rates = " | ".join(f"{rate:.3f}" for rate in row)
        print(f"| {name} | {sizes} x {seeds} | {noise} | {rates} |")


if __name__ == "__main__":
    main()
