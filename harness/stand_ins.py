"""Stand-ins for cells, which hold the same resources and sleep, on a cluster of logical GPUs.

Tune, the admission and Ray's placement groups are those of a sweep.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group, remove_placement_group

from sweeps.scheduling.packing import Demand
from sweeps.scheduling.schedule import run_trials

SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Held:
    """What a stand-in had, and when."""

    demand: Demand
    asked: float
    """When its process was ready and began to wait for its placement."""
    placed: float
    released: float
    """When it began to release its resources, which no other could hold until then."""


class Log:
    def __init__(self) -> None:
        self.held: list[Held] = []

    def add(self, held: Held) -> None:
        self.held.append(held)

    def all(self) -> list[Held]:
        return self.held


def mixed(cells: int, seconds: float) -> list[Demand]:
    """Cells of every width, their durations spread by a factor of two around `seconds`."""
    return [
        Demand(f"cell{index}", 1, SHARES[index % 5], seconds * (0.7 + 0.1 * (index * 3 % 8)))
        for index in range(cells)
    ]


def asleep(demand: Demand) -> None:
    time.sleep(demand.seconds)


def run_stand_ins(demands: list[Demand], hold: Callable[[Demand], None] = asleep) -> list[Held]:
    """Place stand-ins for the demands on the joined cluster; each holds its resources and releases
    them.

    hold: called in the stand-in's process once it is placed; it releases when that returns.
    """
    log = ray.remote(num_cpus=0)(Log).remote()
    by_key = {demand.key: demand for demand in demands}

    def trial(config: dict[str, tuple[str, ...]]) -> None:
        demand, asked = by_key[config["job"][0]], time.time()
        workers = max(1, round(demand.gpus))
        each = {"CPU": demand.cpus / workers, "GPU": min(1.0, demand.gpus)}
        group = placement_group([each] * workers, strategy="PACK")
        while not group.wait(60):
            pass
        placed = time.time()
        hold(demand)
        released = time.time()
        remove_placement_group(group)
        ray.get(log.add.remote(Held(demand, asked, placed, released)))

    run_trials(trial, demands, retries=0, verbose=0)
    return ray.get(log.all.remote())


def most_at_once(held: list[Held]) -> float:
    """The most GPUs that were held at one time."""
    changes = [(each.placed, each.demand.gpus) for each in held]
    # A release counts before a placement at the same instant.
    changes += [(each.released, -each.demand.gpus) for each in held]
    now = most = 0.0
    for _, gpus in sorted(changes):
        now += gpus
        most = max(most, now)
    return most


def two_nodes() -> Cluster:
    """A cluster of two nodes with four logical GPUs each."""
    node: dict[str, Any] = {"num_cpus": 32, "num_gpus": 4, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(num_cpus=32, num_gpus=4)
    return cluster
