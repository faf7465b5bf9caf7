"""The rules of `sweeps.scheduling.packing` as first written, one cell at a time: the reference.

Whenever a cell ends, every waiting cell is tried, and each try sums the load of every GPU, so the
time grows at least with the square of the number of cells.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from sweeps.scheduling.packing import ORDERS, ROUNDING, Capacity, Demand


@dataclass
class SlowPool:
    """Who holds what, summed again at each query."""

    capacity: Capacity
    cpus: dict[str, float] = field(default_factory=dict)
    gpus: list[dict[str, float]] = field(default_factory=list)

    def take(self, demand: Demand) -> bool:
        """Book it if there is room."""
        if sum(self.cpus.values()) + demand.cpus > self.capacity.cpus + ROUNDING:
            return False
        self.gpus += [{} for _ in range(self.capacity.gpus - len(self.gpus))]
        # GPUs that went away: what ran there is trained again in the place that it still holds.
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


def slow_makespan(demands: list[Demand], capacity: Capacity) -> float:
    """`makespan`, trying every waiting demand whenever one ends."""
    pool, waiting = SlowPool(capacity), list(demands)
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


def slow_in_order(demands: list[Demand], capacity: Capacity) -> list[Demand]:
    """`in_order` by `slow_makespan`, for demands that all fit."""
    orders = [sorted(demands, key=key) for key in ORDERS.values()]
    return min(orders, key=lambda order: slow_makespan(order, capacity))
