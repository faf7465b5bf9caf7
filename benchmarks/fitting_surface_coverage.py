"""Coverage of the intervals of L(N, D), and how often designs that cannot tell N from D are
refused.

    python -m benchmarks.fitting_surface_coverage [--draws 300]

Simulates L(N, D) = 1.5 + (N / 1e7)^-.3 + (D / 1e9)^-.4 with noise relative to the loss, and prints
in Markdown, for each design: how often the exponents are refused, and how often the 95 % intervals
of alpha, beta, E, beta / (alpha + beta), N_opt at 1e20 FLOPs and of a new run at four times the
largest N and D contain the truth otherwise. "Shared" is an error common to the seeds of a size and
budget, as large as that of each seed.
"""

import argparse

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitting.surface.law import SurfaceLaw, surface_law

Array = NDArray[np.float64]

FLOOR, ALPHA, BETA = 1.5, 0.3, 0.4
NOISES = (0.002, 0.005, 0.02)
OPTIMUM_AT = 1e20
JITTER = {"D = 20 N": 0.0, "D = 20 N, 5 % jitter": 0.05, "D = 20 N, 50 % jitter": 0.5}
DESIGNS = (*JITTER, "4 x 4", "5 x 4", "5 x 4, 2 seeds", "5 x 4, 2 seeds, shared", "isoFLOP 5 x 7")


def surface(n: Array, d: Array) -> Array:
    """The truth."""
    return FLOOR + (n / 1e7) ** -ALPHA + (d / 1e9) ** -BETA


def design(name: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Sizes and tokens (runs,) of a design, both over a factor of 100."""
    if name in JITTER:
        n = np.geomspace(1e6, 1e8, 20)
        return n, 20 * n * np.exp(JITTER[name] * rng.standard_normal(20))
    if name.startswith("isoFLOP"):
        flops, step = np.meshgrid(np.geomspace(1e15, 1e18, 5), np.geomspace(0.2, 5, 7))
        n = (1e7 * (flops / 1e17) ** 0.55 * step).ravel()
        return n, flops.ravel() / 6 / n
    grid = np.meshgrid(np.geomspace(1e6, 1e8, int(name[0])), np.geomspace(1e8, 1e10, 4))
    seeds = 2 if "seeds" in name else 1
    return np.repeat(grid[0].ravel(), seeds), np.repeat(grid[1].ravel(), seeds)


def simulate(name: str, noise: float, rng: np.random.Generator) -> tuple[SurfaceLaw, float]:
    """A law through one draw, and the loss of a new run beyond it."""
    n, d = design(name, rng)
    error = noise * rng.standard_normal(len(n) + 1)
    if "shared" in name:
        error += noise * np.repeat(rng.standard_normal(len(n) // 2 + 1), 2)[: len(n) + 1]
    loss = surface(n, d) * np.exp(error[:-1])
    runs = pd.DataFrame({"n_params": n, "tokens": d, "flops": 6 * n * d, "val_loss": loss})
    law = surface_law(runs)
    assert law is not None
    return law, float(surface(4 * n.max(), 4 * d.max()) * np.exp(error[-1]))


def row(name: str, noise: float, draws: int) -> list[float]:
    """Rates: refused, weak, and of the laws that were not refused: coverage, and width of alpha."""
    rng = np.random.default_rng([DESIGNS.index(name), int(1000 * noise)])
    scale = (ALPHA * 1e7**ALPHA / (BETA * 1e9**BETA)) ** (1 / (ALPHA + BETA))
    best = scale * (OPTIMUM_AT / 6) ** (BETA / (ALPHA + BETA))
    kept, weak = [], 0
    for _ in range(draws):
        law, beyond = simulate(name, noise, rng)
        if not law.identified:
            continue
        weak += law.word == "weak"
        s = law.surface
        new = law.prediction(4 * s.n.max(), 4 * s.d.max())
        truths = (
            (ALPHA, law.alpha),
            (BETA, law.beta),
            (FLOOR, law.E),
            (BETA / (ALPHA + BETA), law.optimal_exponent),
            (best, law.region.optimal_n_interval(OPTIMUM_AT)),
            (beyond, new),
        )
        width = (law.alpha.high - law.alpha.low) / 2 / s.alpha
        kept.append([float(truth in interval) for truth, interval in truths] + [width])
    mean = np.mean(kept, axis=0) if kept else np.full(7, np.nan)
    if kept:
        mean[-1] = np.median([each[-1] for each in kept])
    return [1 - len(kept) / draws, weak / draws, *mean]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=300, help="draws a row (default: 300)")
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=DESIGNS)
    args = parser.parse_args()
    print(
        "| design | noise | refused | weak | alpha | beta | E | exponent of N_opt | N_opt "
        "| new run, 4 N, 4 D | +- alpha / alpha |\n" + "| --- " * 11 + "|"
    )
    for name in args.designs:
        for noise in NOISES:
            cells = ("-" if np.isnan(v) else f"{v:.3f}" for v in row(name, noise, args.draws))
            print(f"| {name} | {noise} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
