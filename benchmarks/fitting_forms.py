"""Errors of the checks of a law's shape, from simulated sweeps with a known answer.

    python -m benchmarks.fitting_forms [--draws 200] [--only tenfold drift collapse]

Tenfold: how often a range at ten times the largest size contains the true loss, using the law's own
95 % band, alone and joined with the forms that survive their held-out sizes; where the truth is a
law and where another exponent takes over. Drift: how often leaving sizes out is said to move alpha.
Collapse: how often a size is named that trained like the others, and one that trained at too high a
rate.
Sizes span a factor of 100; noise is relative to the loss.
"""

import argparse
from collections.abc import Callable

import numpy as np

from fitting.law.extrapolation import TENFOLD
from fitting.law.intervals import Interval, alpha_interval, law_band
from fitting.law.power_law import Array, fit
from fitting.scrutiny.collapse import collapse
from fitting.scrutiny.rivals import judge_forms
from fitting.scrutiny.sensitivity import drift_sentence, without_ends
from harness.training_curves import SMALLEST, SPAN, training_curves

Curve = Callable[[Array], Array]
DESIGNS = ((5, 1), (5, 3), (8, 1), (8, 3))


def power(alpha: float, fraction: float) -> Curve:
    """A law: loss 3 at the smallest size, of which `fraction` is c; n in smallest sizes."""
    return lambda n: 3 * ((1 - fraction) * n**-alpha + fraction)


def two_powers(alpha: float, beta: float, fraction: float) -> Curve:
    """A second term, half of what falls at the smallest size, with an exponent of its own."""
    return lambda n: 3 * ((1 - fraction) * (n**-alpha + n**-beta) / 2 + fraction)


def broken(first: float, second: float, at: float, fraction: float = 0.3) -> Curve:
    """An exponent that changes sharply at `at` times the largest size."""
    edge = at * SPAN
    return lambda n: (
        3
        * (
            (1 - fraction) * np.where(n < edge, n**-first, edge**-first * (n / edge) ** -second)
            + fraction
        )
    )


TRUTHS: dict[str, Curve] = {
    "law, alpha .3, c a third": power(0.3, 0.3),
    "law, alpha .15, c a third": power(0.15, 0.3),
    "law, alpha .3, no c": power(0.3, 0.0),
    "two powers, .5 and .1, c a third": two_powers(0.5, 0.1, 0.3),
    "two powers, .5 and .1, no c": two_powers(0.5, 0.1, 0.0),
    "two powers, .3 and .15, no c": two_powers(0.3, 0.15, 0.0),
    "break at 1 x, .3 to .1": broken(0.3, 0.1, 1),
    "break at 3 x, .3 to .1": broken(0.3, 0.1, 3),
    "break at 1 x, .3 to .6": broken(0.3, 0.6, 1),
    "break at 3 x, .3 to .6": broken(0.3, 0.6, 3),
    "flat from 1 x": broken(0.3, 0.0, 1),
    "break at .3 x, .3 to .1": broken(0.3, 0.1, 0.3),
    "break at .3 x, .3 to .6": broken(0.3, 0.6, 0.3),
}


def sweep(curve: Curve, sizes: int, seeds: int, noise: float, rng: np.random.Generator) -> Array:
    """(2, runs) sizes and losses."""
    n = np.repeat(np.geomspace(1, SPAN, sizes), seeds)
    return np.stack([n * SMALLEST, curve(n) * np.exp(noise * rng.standard_normal(len(n)))])


def tenfold_row(curve: Curve, sizes: int, seeds: int, noise: float, draws: int) -> Array:
    """Of the law's band, joined with the predictions of the forms that survive, and with what noise
    allows these: how often each holds the truth, then median widths over the loss. Last, the rates
    at which the law survives, and no form does: then nothing is predicted, and nothing counted."""
    rng = np.random.default_rng([sizes, seeds, int(1e4 * noise)])
    true = float(curve(np.array([TENFOLD * SPAN]))[0])
    held, widths, law_survives = [], [], 0
    for _ in range(draws):
        n, loss = sweep(curve, sizes, seeds, noise, rng)
        forms = judge_forms(n, loss)
        law_survives += any(form.name == "law" for form in forms.survivors)
        if forms.tenfold_range is None or forms.tenfold_allowed is None:
            continue
        low, high = law_band(fit(n, loss), [TENFOLD * n.max()])
        band = Interval(float(low[0]), float(high[0]))
        joined = [
            Interval(min(band.low, more.low), max(band.high, more.high))
            for more in (band, forms.tenfold_range, forms.tenfold_allowed)
        ]
        held.append([true in one for one in joined])
        widths.append([(one.high - one.low) / true for one in joined])
    rates = [law_survives / draws, 1 - len(held) / draws]
    if not held:
        return np.array([*[np.nan] * 6, *rates])
    return np.array([*np.mean(held, axis=0), *np.median(widths, axis=0), *rates])


def print_tenfold(draws: int) -> None:
    """A row a truth and design."""
    print("## The true loss at ten times the largest size\n")
    print(
        "| truth | sizes x seeds, noise | in the law's band | joined with predictions | with what "
        "noise allows | widths, % of the loss | law survives | no form does |"
    )
    print("| --- " * 8 + "|")
    for name, curve in TRUTHS.items():
        for sizes, seeds, noise in ((5, 1, 0.005), (8, 3, 0.005), (8, 3, 0.002)):
            row = tenfold_row(curve, sizes, seeds, noise, draws)
            held = " | ".join(f"{rate:.2f}" for rate in row[:3])
            widths = ", ".join(f"{100 * width:.1f}" for width in row[3:6])
            print(
                f"| {name} | {sizes} x {seeds}, {noise} | {held} | {widths} | {row[6]:.2f} "
                f"| {row[7]:.2f} |",
                flush=True,
            )


def print_drift(draws: int) -> None:
    """How often a drift of alpha is said, of a law and of sizes before or after one."""
    curves: dict[str, Curve] = {
        "law": power(0.3, 0.4),
        "begins at 10 x the smallest (5 % above it there)": lambda n: (
            power(0.3, 0.4)(n) * (1 + 0.05 * np.maximum(0, 1 - np.log10(n)))
        ),
        "ends at a third of the largest (then flat)": lambda n: power(0.3, 0.4)(
            np.minimum(n, SPAN / 3)
        ),
    }
    print("\n## How often leaving sizes out is said to move alpha, noise .003\n")
    print("| truth | " + " | ".join(f"{sizes} x {seeds}" for sizes, seeds in DESIGNS) + " |")
    print("| --- " * (1 + len(DESIGNS)) + "|")
    for name, curve in curves.items():
        cells = []
        for sizes, seeds in DESIGNS:
            rng = np.random.default_rng([sizes, seeds])
            count = 0
            for _ in range(draws):
                law = fit(*sweep(curve, sizes, seeds, 0.003, rng))
                said = drift_sentence(law.alpha, alpha_interval(law), without_ends(law))
                count += "the law may" in said
            cells.append(f"{count / draws:.3f}")
        print(f"| {name} | {' | '.join(cells)} |")


def named(
    setting: tuple[tuple[int, int], float, float, float],
    rng: np.random.Generator,
    bad: int | None,
) -> tuple[bool, bool]:
    """Whether the bad size is named, and whether another one is."""
    design, noise, point, falls = setting
    runs = training_curves(*design, noise, point, rng, bad, falls=falls)
    found = collapse(runs, fit(runs["n_params"], runs["val_loss"]))
    sizes = np.sort(runs["n_params"].unique())
    which = {int(np.argmin(np.abs(np.log(sizes / one.n)))) for one in found.leaving}
    return bad in which, bool(which - {bad})


def print_collapse(draws: int) -> None:
    """How often sizes are named."""
    print("\n## Sizes that are said to leave the bundle\n")
    print(
        "| sizes x seeds | noise of runs | of points | fall as N^- | any, none being bad "
        "| the second, 2 % too high | the middle one | the largest | another beside it |"
    )
    print("| --- " * 9 + "|")
    for setting in [
        *((design, 0.003, 0.01, 0.0) for design in DESIGNS),
        ((8, 3), 0.002, 0.005, 0.0),
        ((8, 3), 0.005, 0.015, 0.0),
        ((8, 3), 0.002, 0.03, 0.0),
        ((8, 3), 0.01, 0.03, 0.35),
    ]:
        design, noise, point, falls = setting
        rng = np.random.default_rng([*design, int(1e4 * noise)])
        false = np.mean([named(setting, rng, None)[1] for _ in range(4 * draws)])
        found = [
            [named(setting, rng, bad) for _ in range(draws)]
            for bad in (1, design[0] // 2, design[0] - 1)
        ]
        hits = " | ".join(f"{rate:.2f}" for rate in np.mean(found, axis=1)[:, 0])
        sizes, seeds = design
        print(
            f"| {sizes} x {seeds} | {noise} | {point} | {falls} | {false:.3f} | {hits} "
            f"| {np.mean(found, axis=(0, 1))[1]:.2f} |",
            flush=True,
        )


def main() -> None:
    """Print the tables."""
    tables = {"tenfold": print_tenfold, "drift": print_drift, "collapse": print_collapse}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200, help="sweeps a row (default: 200)")
    parser.add_argument("--only", nargs="+", choices=list(tables), default=list(tables))
    args = parser.parse_args()
    for name in args.only:
        tables[name](args.draws)


if __name__ == "__main__":
    main()
