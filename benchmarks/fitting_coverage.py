"""Coverage of the intervals and errors of the verdict, from simulated sweeps with a known answer.

    python -m benchmarks.fitting_coverage [--draws 20] [--cases base between] [--designs 5x3 8x3]

Four kinds of noise, each relative to the loss: the same for every run (base); as much again, shared
by the runs of a size (between); falling tenfold from the smallest size to the largest (falling);
both. Prints tables in Markdown. Coverage: how often the 95 % intervals of alpha, of c, of the
held-out largest size and of the loss at ten times that contain the truth, over the sweeps whose
verdict is not "not supported". Later: the same where alpha changes beyond the range. Verdicts: how
often losses that follow no power law are called supported. Sizes span a factor of 100.
"""

import argparse
from functools import partial
from itertools import product
from multiprocessing import Pool

import numpy as np

from fitting.law.simulation import (
    KINDS,
    NOT_LAWS,
    RANGE,
    Design,
    Outcome,
    broken,
    power,
    simulate,
)

DESIGNS = ("5x1", "8x1", "5x2", "8x2", "5x3", "8x3")
NOISES = (0.002, 0.006, 0.02)
ALPHAS = (0.1, 0.2, 0.35, 0.5)
FRACTIONS = (0.0, 0.3, 0.6)
"""c over the loss of the smallest size."""
LATER = {
    f"{first} turns {second} at {at:g} x the largest": broken(first, second, at * RANGE, 0.3)
    for first, second, at in product((0.3,), (0.05, 0.15, 0.5), (1.0, 3.0))
}


def laws(design: Design, draws: int) -> list[Outcome]:
    """`draws` sweeps of each true law."""
    rng = design.generator(7)
    settings = product(ALPHAS, FRACTIONS)
    return [
        simulate(power(alpha, fraction), design, rng, (alpha, 3 * fraction))
        for alpha, fraction in settings
        for _ in range(draws)
    ]


def later(task: tuple[str, Design], draws: int) -> list[Outcome]:
    """Sweeps of a law that holds within the range and not beyond."""
    name, design = task
    rng = design.generator(8, list(LATER).index(name))
    return [simulate(LATER[name], design, rng, (0.3, 0.9)) for _ in range(4 * draws)]


def no_laws(task: tuple[str, Design], draws: int) -> list[Outcome]:
    """Sweeps of losses that follow no power law."""
    name, design = task
    curve, diverged = NOT_LAWS[name]
    rng = design.generator(9, list(NOT_LAWS).index(name))
    return [simulate(curve, design, rng, diverged=diverged) for _ in range(4 * draws)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20, help="sweeps of each law (default: 20)")
    parser.add_argument("--cases", nargs="+", choices=KINDS, default=list(KINDS), metavar="CASE")
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=["5x3", "8x3"])
    parser.add_argument("--tables", nargs="+", default=["laws", "later", "no_laws"])
    parser.add_argument("--processes", type=int, default=1, help="processes (default: 1)")
    args = parser.parse_args()
    designs = [
        Design(int(text.split("x")[0]), int(text.split("x")[1]), noise, kind)
        for kind, text, noise in product(args.cases, args.designs, NOISES)
    ]
    with Pool(args.processes) as pool:
        if "laws" in args.tables:
            found = pool.map(partial(laws, draws=args.draws), designs, 1)
            print_coverage(designs, found)
        if "later" in args.tables:
            tasks = list(product(LATER, designs))
            print_later(tasks, pool.map(partial(later, draws=args.draws), tasks, 1))
        if "no_laws" in args.tables:
            tasks = list(product(NOT_LAWS, designs))
            print_verdicts(tasks, pool.map(partial(no_laws, draws=args.draws), tasks, 1))


def print_coverage(designs: list[Design], found: list[list[Outcome]]) -> None:
    """Pooled over the laws and the sizes of the noise."""
    print("\n## True laws\n")
    print(
        "| noise | sizes x seeds | supported | weak | not supported | alpha | c | held-out "
        "| tenfold | tenfold by form | width of alpha, median |"
    )
    print("| --- " * 11 + "|")
    for key in dict.fromkeys(_shape(design) for design in designs):
        sweeps = [o for design, each in zip(designs, found) if _shape(design) == key for o in each]
        kept = [o for o in sweeps if o.word != "not supported"]
        names = ("alpha", "c", "held_out", "tenfold", "by_form")
        print(
            f"| {key[0]} | {key[1]} | {_words(sweeps)} | "
            + " | ".join(_rate(kept, name) for name in names)
            + f" | {np.median([o.width for o in sweeps]):.3f} |"
        )


def print_later(tasks: list[tuple[str, Design]], found: list[list[Outcome]]) -> None:
    """Pooled over designs and sizes of the noise."""
    print("\n## Laws that hold within the range, and not beyond\n")
    print("| law | noise | supported | weak | not supported | alpha | tenfold | tenfold by form |")
    print("| --- " * 8 + "|")
    for key in dict.fromkeys((name, design.kind) for name, design in tasks):
        mine = [each for (name, d), each in zip(tasks, found) if (name, d.kind) == key]
        sweeps = [o for each in mine for o in each]
        kept = [o for o in sweeps if o.word != "not supported"]
        rates = " | ".join(_rate(kept, name) for name in ("alpha", "tenfold", "by_form"))
        print(f"| {key[0]} | {key[1]} | {_words(sweeps)} | {rates} |")


def print_verdicts(tasks: list[tuple[str, Design]], found: list[list[Outcome]]) -> None:
    """False "supported": pooled by kind of noise and design, and the worst of each."""
    print("\n## Losses that follow no power law\n")
    print("| noise | sizes x seeds | supported | weak | not supported | the worst of them |")
    print("| --- " * 6 + "|")
    for key in dict.fromkeys(_shape(design) for _, design in tasks):
        mine = [(task, each) for task, each in zip(tasks, found) if _shape(task[1]) == key]
        sweeps = [o for _, each in mine for o in each]
        (name, design), worst = max(mine, key=lambda pair: _supported(pair[1]))
        said = f"{_supported(worst):.3f}: {name}, noise {design.noise}"
        print(f"| {key[0]} | {key[1]} | {_words(sweeps)} | {said} |")


def _shape(design: Design) -> tuple[str, str]:
    return design.kind, f"{design.sizes} x {design.seeds}"


def _supported(sweeps: list[Outcome]) -> float:
    return float(np.mean([o.word == "supported" for o in sweeps]))


def _words(sweeps: list[Outcome]) -> str:
    words = [o.word for o in sweeps]
    kinds = ("supported", "weak", "not supported")
    return " | ".join(f"{words.count(word) / len(words):.3f}" for word in kinds)


def _rate(sweeps: list[Outcome], name: str) -> str:
    return f"{np.mean([getattr(o, name) for o in sweeps]):.3f}" if sweeps else "-"


if __name__ == "__main__":
    main()
