"""The arguments of `sweeps/run_grid.py`. One that would have no effect is refused."""

from __future__ import annotations

import argparse

from data.store.location import Location

PLANS = ("cluster", "gpu_tflops", "gpu")
"""Arguments of the plan."""


def parse(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--grid", default="quickstart", help="a shipped grid's name or a YAML file [quickstart]")
    add(
        "--with",
        dest="options",
        metavar="OPTION",
        action="append",
        default=[],
        help="apply an option of the grid file; may be given several times",
    )
    add(
        "--out",
        type=Location.of,
        default=Location.of("runs"),
        help="where data, cells and reports go: a folder that every node sees, or s3://... [runs]",
    )
    add("--only", default="", metavar="'arch=lstm size=5M,20M'", help="only these cells")
    add(
        "--gpu-price",
        type=float,
        help="the price of a GPU-hour: --dry-run plans the cost, a sweep says what it has cost",
    )
    add("--retry-failed", action="store_true", help="retry cells that failed")
    add("-v", "--verbose", action="store_true", help="also show the output of Ray")
    instead = parser.add_mutually_exclusive_group().add_argument
    instead("--fresh", action="store_true", help="remove what was trained, after asking")
    instead("--prune", action="store_true", help="remove trunks' checkpoints, after asking")
    instead("--status", action="store_true", help="print the state of each cell; starts nothing")
    instead(
        "--check", action="store_true", help="test whether every node can run it; trains nothing"
    )
    instead(
        "--dry-run", action="store_true", help="print the time, memory and cost; starts nothing"
    )
    plan = parser.add_argument_group("with --dry-run").add_argument
    plan("--cluster", default="", metavar="8x1", help="also plan for NODESxGPUS[xCPUS]")
    plan(
        "--gpu-tflops",
        type=float,
        help="assumed TFLOP/s of a GPU, for a plan made on a machine without one [30]",
    )
    plan(
        "--gpu",
        default="",
        metavar="h100",
        help="plan for this card, from docs/results/gpu_speed.csv, which benchmarks/gpu.py writes",
    )
    args = parser.parse_args()
    for name, goes_with in _without_effect(args):
        parser.error(f"--{name.replace('_', '-')} {goes_with}")
    return args


def _without_effect(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Arguments that were given and would be ignored, each with why."""
    trains = not (args.prune or args.status or args.check or args.dry_run)
    ignored = {
        "retry_failed": ("is for training", trains),
        "verbose": ("is for training and --check", trains or args.check),
        "gpu_price": ("is for training and --dry-run", trains or args.dry_run),
        "only": ("has no effect on --check, which tests nodes", not args.check),
        **dict.fromkeys(PLANS, ("goes with --dry-run", args.dry_run)),
    }
    given = [(name, *rule) for name, rule in ignored.items() if vars(args)[name]]
    found = [(name, why) for name, why, heard in given if not heard]
    if args.gpu and args.gpu_tflops:
        found.append(("gpu_tflops", "is for cards that --gpu does not know"))
    return found
