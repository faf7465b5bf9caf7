"""Simulates thousands of cells on hundreds of GPUs: how fast are they ordered, and into which jobs?

    python -m benchmarks.sweep_order

Orders size ladders by today's rule and by the one that tries every cell whenever one ends, then
divides such ladders into jobs and compares with one job per group and one job per cell. Uses no
Ray; seconds are processor time. How well a whole sweep packs is measured by
`benchmarks.sweep_packing`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from harness.ladders import ladder
from harness.slow_packing import slow_in_order
from sweeps.scheduling.packing import (
    Capacity,
    Unit,
    demand_of,
    in_order,
    into_jobs,
    least_seconds,
    makespan,
)

P = ParamSpec("P")
T = TypeVar("T")
START = 15.0
WIDE, QUARTERS, WHOLE = (0.25, 0.5, 1, 2, 4), (0.25,) * 5, (1,) * 5
LARGE = Capacity(cpus=3072, gpus=256)
SMALLER = Capacity(cpus=2304, gpus=192)
EIGHT = Capacity(cpus=96, gpus=8)
TWO_CORES = Capacity(cpus=2, gpus=0)

GRIDS: list[tuple[str, list[Unit], Capacity]] = [
    ("30 cells of .25 to 4 GPUs, 8 GPUs", ladder(3, 60, 0.7, WIDE), EIGHT),
    ("40 cells of .25 to 4 GPUs, 8 GPUs", ladder(4, 60, 0.7, WIDE), EIGHT),
    ("50 cells of .25 to 4 GPUs, 8 GPUs", ladder(5, 60, 0.7, WIDE), EIGHT),
    ("40 cells of .25 to 4 GPUs, short, 8 GPUs", ladder(4, 10, 0.7, WIDE), EIGHT),
    ("40 cells of one GPU, 8 GPUs", ladder(4, 60, 0.7, WHOLE), EIGHT),
    ("40 cells of a quarter, 8 GPUs", ladder(4, 60, 0.7, QUARTERS), EIGHT),
    ("30 cells of .25 to 2 GPUs, 8 GPUs", ladder(3, 60, 0.5, (0.25, 0.25, 0.5, 1, 2)), EIGHT),
    ("30 cells, two cores", ladder(3, 5, 0.5, (0,) * 5), TWO_CORES),
    ("2,000 cells of .25 to 4 GPUs, 256 GPUs", ladder(200, 60, 0.7, WIDE), LARGE),
    ("2,000 cells of a quarter, 256 GPUs", ladder(200, 60, 0.7, QUARTERS), LARGE),
]


def timed(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
    """What it returns, and seconds of the processor."""
    started = time.process_time()
    return call(*args, **kwargs), time.process_time() - started


def ends(jobs: list[list[Unit]], capacity: Capacity) -> float:
    demands = [demand_of(job, START) for job in jobs]
    return makespan(in_order(demands, capacity), capacity)


def print_order(slow_cells: int) -> None:
    print("| cells | before, s | after, s | again on 192 GPUs, s | the same order |")
    print("| --- | --- | --- | --- | --- |")
    for cells in (250, 500, 1000, 2000):
        demands = [demand_of([unit], START) for unit in ladder(cells // 10, 60, 0.7, WIDE)]
        after, seconds = timed(in_order, demands, LARGE)
        _, again = timed(in_order, after, SMALLER)
        before, same = "", ""
        if cells <= slow_cells:
            slow, took = timed(slow_in_order, demands, LARGE)
            before, same = f"{took:.1f}", "yes" if slow == after else "no"
        print(f"| {cells:,} | {before} | {seconds:.3f} | {again:.3f} | {same} |")


def print_jobs() -> None:
    print("\n| grid | least, s | one job a cell | one a group | chosen | jobs | took, s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, units, capacity in GRIDS:
        groups: dict[str, list[Unit]] = {}
        for unit in units:
            groups.setdefault(unit.group, []).append(unit)
        jobs, took = timed(into_jobs, units, capacity, START)
        least = least_seconds(units, capacity, START)
        cuts = [[unit] for unit in units], list(groups.values()), jobs
        ratios = " | ".join(f"{ends(cut, capacity) / least:.3f}" for cut in cuts)
        print(f"| {name} | {least:,.0f} | {ratios} | {len(jobs):,} | {took:.2f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--slow-cells", type=int, default=1000, help="the most that the slow rule orders [1000]"
    )
    args = parser.parse_args()
    print_order(args.slow_cells)
    print_jobs()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
