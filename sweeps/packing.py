"""Cells on shared GPUs, as arithmetic: what fits now, in which order to start, how long it takes.

The plan and the scheduler use the same rules, so that what `--dry-run` says is what happens.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainers.cell import Placement

ROUNDING = 1e-6


@dataclass(frozen=True)
class Demand:
    """What one cell takes, and for how long."""

    key: str
    cpus: float
    """Of all its workers."""
    gpus: float
    """Of all its workers: a share of one, or a whole number."""
    seconds: float = 0.0
    """Expected; only the order depends on it."""

    @classmethod
    def of(cls, key: str, placement: Placement, seconds: float) -> Demand:
        """What a cell takes that is placed so."""
        workers = placement.workers
        return cls(key, workers * placement.cpus, workers * placement.gpus, seconds)


@dataclass(frozen=True)
class Capacity:
    """What a cluster has, over all its nodes."""

    cpus: float
    gpus: int

    def holds(self, demand: Demand) -> bool:
        """Whether the empty cluster could run it."""
        return demand.cpus <= self.cpus + ROUNDING and demand.gpus <= self.gpus + ROUNDING


@dataclass
class Pool:
    """Who holds what. Shares of a GPU are packed, so that whole ones stay free."""

    capacity: Capacity
    cpus: dict[str, float] = field(default_factory=dict)
    gpus: list[dict[str, float]] = field(default_factory=list)
    """The shares that are held of each GPU."""

    def take(self, demand: Demand) -> bool:
        """Book it if there is room."""
        if sum(self.cpus.values()) + demand.cpus > self.capacity.cpus + ROUNDING:
            return False
        self.gpus += [{} for _ in range(self.capacity.gpus - len(self.gpus))]
        # GPUs that went away: what was held there is trained again, in the place it has booked.
        beyond = sum(bool(held) for held in self.gpus) - self.capacity.gpus
        chosen = [] if beyond > 0 else self._choose(demand.gpus, beyond == 0)
        if demand.gpus and not chosen:
            return False
        for held in chosen:
            held[demand.key] = min(1.0, demand.gpus)
        self.cpus[demand.key] = demand.cpus
        return True

    def _choose(self, gpus: float, full: bool) -> list[dict[str, float]]:
        if 0 < gpus < 1:
            room = [held for held in self.gpus if sum(held.values()) + gpus <= 1 + ROUNDING]
            if full:
                room = [held for held in room if held]
            return sorted(room, key=lambda held: -sum(held.values()))[:1]
        used = sum(bool(held) for held in self.gpus)
        whole = [held for held in self.gpus if not held][: round(gpus)]
        fits = len(whole) == round(gpus) and used + len(whole) <= self.capacity.gpus
        return whole if fits else []

    def give_back(self, key: str) -> None:
        self.cpus.pop(key, None)
        for held in self.gpus:
            held.pop(key, None)


def makespan(demands: list[Demand], capacity: Capacity) -> float:
    """Seconds until all have run, each started as soon as it fits, earlier ones in the list first.

    Raises ValueError if one does not fit at all.
    """
    pool, waiting = Pool(capacity), list(demands)
    running: list[tuple[float, str]] = []
    now = 0.0
    while waiting or running:
        started = [demand for demand in waiting if pool.take(demand)]
        for demand in started:
            heapq.heappush(running, (now + demand.seconds, demand.key))
        begun = {demand.key for demand in started}
        waiting = [demand for demand in waiting if demand.key not in begun]
        if not running:
            raise ValueError(f"{waiting[0].key} does not fit")
        now, key = heapq.heappop(running)
        pool.give_back(key)
    return now


def lower_bound(demands: list[Demand], capacity: Capacity) -> float:
    """Seconds that no order can beat: the work over what there is, or the longest cell."""
    over_gpus = sum(d.gpus * d.seconds for d in demands) / max(1, capacity.gpus)
    over_cpus = sum(d.cpus * d.seconds for d in demands) / capacity.cpus
    return max(over_gpus, over_cpus, *(d.seconds for d in demands))


ORDERS: dict[str, Callable[[Demand], tuple[float, ...]]] = {
    "longest": lambda demand: (-demand.seconds,),
    "widest": lambda demand: (-demand.gpus, -demand.seconds),
    "largest": lambda demand: (-demand.seconds * max(demand.gpus, ROUNDING),),
}


def in_order(demands: list[Demand], capacity: Capacity) -> list[Demand]:
    """Longest first, or by GPUs or GPU-seconds where that ends sooner.

    Longest first alone lets cells of several GPUs wait until the very end: whatever is given back
    is taken by a small one.
    """
    fitting = [demand for demand in demands if capacity.holds(demand)]
    waiting = [demand for demand in demands if not capacity.holds(demand)]
    orders = [sorted(fitting, key=key) for key in ORDERS.values()]
    best = min(orders, key=lambda order: makespan(order, capacity), default=[])
    return best + sorted(waiting, key=ORDERS["longest"])
