"""Forty cells of a quarter of a GPU to four on eight logical GPUs of two nodes: how well packed?

    python -m benchmarks.sweep_packing

The cells are stand-ins that hold what a cell holds and sleep; Tune, the admission and Ray's
placement groups are those of a sweep. Prints the makespan against what no order can beat.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group, remove_placement_group

from sweeps.packing import Capacity, Demand, lower_bound
from sweeps.schedule import run_trials

EIGHT = Capacity(cpus=64, gpus=8)
SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Held:
    """What a stand-in had, and when."""

    demand: Demand
    asked: float
    """When its process was ready; it had to wait until it was placed."""
    placed: float
    released: float


class Log:
    def __init__(self) -> None:
        self.held: list[Held] = []

    def add(self, held: Held) -> None:
        self.held.append(held)

    def all(self) -> list[Held]:
        return self.held


def mixed(cells: int, seconds: float) -> list[Demand]:
    """Cells of every width; the durations are spread by a factor of two around `seconds`."""
    return [
        Demand(f"cell{index}", 1, SHARES[index % 5], seconds * (0.7 + 0.1 * (index * 3 % 8)))
        for index in range(cells)
    ]


def run_stand_ins(demands: list[Demand]) -> list[Held]:
    """Let them hold and sleep on the cluster that this process has joined."""
    log = ray.remote(num_cpus=0)(Log).remote()
    by_key = {demand.key: demand for demand in demands}

    def trial(config: dict[str, str]) -> None:
        demand, asked = by_key[config["cell"]], time.time()
        workers = max(1, round(demand.gpus))
        each = {"CPU": demand.cpus / workers, "GPU": min(1.0, demand.gpus)}
        group = placement_group([each] * workers, strategy="PACK")
        while not group.wait(60):
            pass
        placed = time.time()
        time.sleep(demand.seconds)
        remove_placement_group(group)
        ray.get(log.add.remote(Held(demand, asked, placed, time.time())))

    run_trials(trial, demands, retries=0, verbose=0)
    return ray.get(log.all.remote())


def most_at_once(held: list[Held]) -> float:
    """GPUs that were held at one moment."""
    changes = [(each.placed, each.demand.gpus) for each in held]
    # A release counts before a placement at the same instant.
    changes += [(each.released, -each.demand.gpus) for each in held]
    now = most = 0.0
    for _, gpus in sorted(changes):
        now += gpus
        most = max(most, now)
    return most


def two_nodes() -> Cluster:
    """Of four logical GPUs each."""
    node: dict[str, Any] = {"num_cpus": 32, "num_gpus": 4, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(num_cpus=32, num_gpus=4)
    return cluster


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=40, help="how many [40]")
    parser.add_argument("--seconds", type=float, default=25, help="of a cell, about [25]")
    args = parser.parse_args()
    demands = mixed(args.cells, args.seconds)
    cluster = two_nodes()
    ray.init(cluster.address, log_to_driver=False)
    try:
        held = run_stand_ins(demands)
    finally:
        ray.shutdown()
        cluster.shutdown()
    span = max(each.released for each in held) - min(each.asked for each in held)
    bound = lower_bound(demands, EIGHT)
    print("| cells | lower bound, s | makespan, s | ratio | most GPUs held |")
    print("| --- | --- | --- | --- | --- |")
    print(
        f"| {len(held)} | {bound:.1f} | {span:.1f} | {span / bound:.3f} | {most_at_once(held):g} |"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
