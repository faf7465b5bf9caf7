"""The arithmetic of cells on shared GPUs: what fits now, which cells share a job, in which order
jobs start, and how long it all takes.

The plan and the scheduler use the same rules, so `--dry-run` shows what will happen.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainers.cell import Placement

ROUNDING = 1e-6


@dataclass(frozen=True)
class Demand:
    """What one cell or job takes, and for how long."""

    key: str
    cpus: float
    """Over all its workers."""
    gpus: float
    """Over all its workers: a fraction of one, or a whole number."""
    seconds: float = 0.0
    """Expected; affects only the order."""
    cells: tuple[str, ...] = ()
    """The keys of a job's cells."""
    accelerator: str = ""
    """The kind of GPU; "" for any."""

    @classmethod
    def of(cls, key: str, placement: Placement, seconds: float) -> Demand:
        """What a cell with this placement takes."""
        workers = placement.workers
        cpus, gpus = workers * placement.cpus, workers * placement.gpus
        return cls(key, cpus, gpus, seconds, accelerator=placement.accelerator)


@dataclass(frozen=True)
class Capacity:
    """What a cluster has, over all its nodes."""

    cpus: float
    gpus: int
    kinds: Mapping[str, int] | None = None
    """How many of the GPUs are of which kind; None where that is not known."""

    def gpus_for(self, demand: Demand) -> int:
        """How many are of the kind that it asks for; all, where kinds are not known."""
        if not demand.accelerator or self.kinds is None:
            return self.gpus
        return self.kinds.get(demand.accelerator, 0)

    def holds(self, demand: Demand) -> bool:
        """Whether the empty cluster could run it."""
        room = demand.cpus <= self.cpus + ROUNDING
        return room and demand.gpus <= self.gpus_for(demand) + ROUNDING


@dataclass
class Pool:
    """Who holds what. Fractions of a GPU are packed together, so that whole GPUs stay free."""

    capacity: Capacity
    cpus: dict[str, float] = field(default_factory=dict)
    gpus: list[dict[str, float]] = field(default_factory=list)
    """The fractions of each GPU that are held, by holder."""
    _cpus: float = 0.0
    """The sum of the CPUs held."""
    _of_kind: dict[str, Demand] = field(default_factory=dict)
    """What holds GPUs of a kind that it asked for. Ray chooses which; here they are counted."""
    _places: dict[str, list[int]] = field(default_factory=dict)
    """The GPUs of each holder."""
    _by_load: list[tuple[float, int]] = field(default_factory=list)
    """For each GPU, minus the fraction held and its number, sorted: the fullest first, then the
    lower number. Free GPUs come last."""

    def take(self, demand: Demand) -> bool:
        """Book it if there is room. What does not fit will not fit after another booking either."""
        if self._cpus + demand.cpus > self.capacity.cpus + ROUNDING:
            return False
        alike = [each for each in self._of_kind.values() if each.accelerator == demand.accelerator]
        held = sum(each.gpus for each in alike)
        if demand.accelerator and held + demand.gpus > self.capacity.gpus_for(demand) + ROUNDING:
            return False
        for gpu in range(len(self.gpus), self.capacity.gpus):
            self.gpus.append({})
            self._by_load.append((0.0, gpu))
        chosen = self._choose(demand.gpus)
        if demand.gpus and not chosen:
            return False
        for gpu in chosen:
            self._change(gpu, demand.key, min(1.0, demand.gpus))
        self._places[demand.key] = chosen
        self.cpus[demand.key] = demand.cpus
        self._cpus += demand.cpus
        if demand.accelerator:
            self._of_kind[demand.key] = demand
        return True

    def _choose(self, gpus: float) -> list[int]:
        used = bisect_left(self._by_load, (0.0, -1))
        unused = self.capacity.gpus - used
        if unused < 0:
            # GPUs went away. What ran there is trained again in the place that it still holds, and
            # nothing new begins before that.
            return []
        if 0 < gpus < 1:
            first = bisect_left(self._by_load, (gpus - 1 - ROUNDING, -1))
            return [gpu for _, gpu in self._by_load[first : used + min(1, unused)][:1]]
        whole = round(gpus)
        return [gpu for _, gpu in self._by_load[used:][:whole]] if whole <= unused else []

    def give_back(self, key: str) -> None:
        self._cpus -= self.cpus.pop(key, 0.0)
        self._of_kind.pop(key, None)
        for gpu in self._places.pop(key, []):
            self._change(gpu, key, 0.0)

    def _change(self, gpu: int, key: str, share: float) -> None:
        """Let `key` hold this fraction of it."""
        held = self.gpus[gpu]
        del self._by_load[bisect_left(self._by_load, (-sum(held.values()), gpu))]
        if share:
            held[key] = share
        else:
            del held[key]
        insort(self._by_load, (-sum(held.values()), gpu))


def makespan(demands: list[Demand], capacity: Capacity) -> float:
    """Seconds until all have run, each started as soon as it fits, earlier ones in the list first.

    Takes time proportional to the number of demands times that of their kinds; demands of a kind
    have equal CPUs and GPUs, of one accelerator. Raises ValueError if one does not fit at all.
    """
    # Only the first of a kind can be next to start, so each end takes one look at each kind.
    kinds: dict[tuple[float, float, str], deque[tuple[int, Demand]]] = {}
    for place, demand in enumerate(demands):
        kind = demand.cpus, demand.gpus, demand.accelerator
        kinds.setdefault(kind, deque()).append((place, demand))
    pool, now = Pool(capacity), 0.0
    running: list[tuple[float, str]] = []
    while kinds or running:
        heads = [(line[0][0], kind) for kind, line in kinds.items()]
        heapq.heapify(heads)
        while heads:
            _, kind = heapq.heappop(heads)
            line = kinds[kind]
            if not pool.take(line[0][1]):
                continue
            _, demand = line.popleft()
            heapq.heappush(running, (now + demand.seconds, demand.key))
            if line:
                heapq.heappush(heads, (line[0][0], kind))
            else:
                del kinds[kind]
        if not running:
            _, unfit = min(line[0] for line in kinds.values())
            raise ValueError(f"{unfit.key} does not fit")
        now, key = heapq.heappop(running)
        pool.give_back(key)
    return now


def lower_bound(demands: list[Demand], capacity: Capacity) -> float:
    """Seconds that no order can beat: the total work over the capacity, or the longest cell."""
    over_gpus = sum(d.gpus * d.seconds for d in demands) / max(1, capacity.gpus)
    over_cpus = sum(d.cpus * d.seconds for d in demands) / capacity.cpus
    return max(over_gpus, over_cpus, *(d.seconds for d in demands))


ORDERS: dict[str, Callable[[Demand], tuple[float, ...]]] = {
    "longest": lambda demand: (-demand.seconds,),
    "widest": lambda demand: (-demand.gpus, -demand.seconds),
    "largest": lambda demand: (-demand.seconds * max(demand.gpus, ROUNDING),),
}


def in_order(demands: list[Demand], capacity: Capacity) -> list[Demand]:
    """Longest first, or by GPUs or GPU-seconds if that ends sooner.

    With longest first alone, cells of several GPUs could wait until the very end, because small
    ones take whatever is released.
    """
    fitting = [demand for demand in demands if capacity.holds(demand)]
    waiting = [demand for demand in demands if not capacity.holds(demand)]
    orders = [sorted(fitting, key=key) for key in ORDERS.values()]
    best = min(orders, key=lambda order: makespan(order, capacity), default=[])
    return best + sorted(waiting, key=ORDERS["longest"])


@dataclass(frozen=True)
class Unit:
    """What is never split: a cell, or a family of cells that share a trunk."""

    key: str
    group: str
    """Units of one group may share a job: same architecture, size, data set and placement."""
    cpus: float
    gpus: float
    seconds: float
    """Expected, without the start of a job."""
    accelerator: str = ""
    """The same within a group."""


def demand_of(job: list[Unit], start: float) -> Demand:
    """What a job takes, training its units one after another. Its key is that of the first.

    start: seconds that a job takes before it trains.
    """
    first = job[0]
    seconds = start + sum(unit.seconds for unit in job)
    return Demand(first.key, first.cpus, first.gpus, seconds, accelerator=first.accelerator)


def least_seconds(units: list[Unit], capacity: Capacity, start: float) -> float:
    """Seconds that no jobs in any order can beat: `lower_bound`, with one start per group."""
    demands = []
    for group in _groups(units):
        demands += [demand_of([group[0]], start), *(demand_of([unit], 0) for unit in group[1:])]
    return lower_bound(demands, capacity)


def into_jobs(units: list[Unit], capacity: Capacity, start: float) -> list[list[Unit]]:
    """Jobs, each of units of one group, the longest unit first; in the order in which to start
    them.

    A job pays `start` seconds once, and occupies its resources until its last unit ends. So a group
    is spread over several jobs if they can run at once, and is one job if they would only follow
    each other. The jobs end no later than with one job per group or one job per unit, each in the
    order of `in_order`.

    A unit that does not fit is a job of its own: how many will run at once is not known yet.
    """
    fitting = [unit for unit in units if capacity.holds(demand_of([unit], start))]
    alone = [[unit] for unit in units if not capacity.holds(demand_of([unit], start))]
    place = {unit.key: number for number, unit in enumerate(units)}

    def ordered(jobs: list[list[Unit]]) -> list[list[Unit]]:
        # Ties go to what was listed first, however groups are cut.
        listed = sorted(jobs, key=lambda job: min(place[unit.key] for unit in job))
        by_key = {job[0].key: job for job in listed}
        demands = [demand_of(job, start) for job in listed]
        return [by_key[demand.key] for demand in in_order(demands, capacity)]

    def cost(jobs: list[list[Unit]]) -> tuple[float, int]:
        seconds = makespan([demand_of(job, start) for job in jobs], capacity)
        # The same seconds, summed in another order, differ in the last bit.
        return round(seconds, 6), len(jobs)

    groups = _groups(fitting)
    cuts = [ordered(_cut(groups, counts)) for counts in _counts(groups, capacity)]
    return min(cuts, key=cost) + ordered(alone)


def _groups(units: list[Unit]) -> list[list[Unit]]:
    """The units that may share a job, the longest first."""
    groups: dict[tuple[str, float, float], list[Unit]] = {}
    for unit in sorted(units, key=lambda unit: -unit.seconds):
        groups.setdefault((unit.group, unit.cpus, unit.gpus), []).append(unit)
    return list(groups.values())


def _counts(groups: list[list[Unit]], capacity: Capacity) -> list[tuple[int, ...]]:
    """Into how many jobs to cut each group: all the candidates worth trying.

    The longest job allowed is varied from twice the time that would fill the cluster evenly down to
    a sixteenth of it: long jobs leave gaps beside each other, and short ones mean many starts.
    """
    one, each = tuple(1 for _ in groups), tuple(len(group) for group in groups)
    if one == each:
        return [one]
    work = [sum(unit.seconds for unit in group) for group in groups]
    units = [unit for group in groups for unit in group]
    even = max(least_seconds(units, capacity, start=0), ROUNDING)
    tried = [one]
    for step in range(4, -17, -1):
        longest = even * 2 ** (step / 4)
        jobs = [max(1, math.ceil(seconds / longest - ROUNDING)) for seconds in work]
        tried.append(tuple(map(min, jobs, each)))
    return list(dict.fromkeys([*tried, each]))


def _cut(groups: list[list[Unit]], counts: tuple[int, ...]) -> list[list[Unit]]:
    """Each group cut into this many jobs: the longest unit first, to the job with the least work.

    "Longest processing time first": Graham, Bounds on multiprocessing timing anomalies, 1969.
    """
    found = []
    for group, count in zip(groups, counts):
        jobs = [[unit] for unit in group[:count]]
        loads = [(unit.seconds, number) for number, unit in enumerate(group[:count])]
        heapq.heapify(loads)
        for unit in group[count:]:
            load, number = loads[0]
            jobs[number].append(unit)
            heapq.heapreplace(loads, (load + unit.seconds, number))
        found += jobs
    return found
