"""Which cells the same workers train, one after another: a job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from data.storage import Location
from sweeps.needs import Needs
from sweeps.packing import Capacity, Demand
from sweeps.sweep import GridError
from trainers.cell import Cell, Placement
from trainers.names import names

START_SECONDS = 15
"""Of a job, until its workers train; `benchmarks/sweep_time.py` measures it."""


@dataclass(frozen=True)
class Job:
    """Cells that share workers."""

    cells: tuple[Cell, ...]
    """In the order in which they are trained."""
    data: Location
    placement: Placement
    seconds: float = 0.0
    """Expected, its start included."""

    @property
    def key(self) -> str:
        return self.cells[0].key

    @property
    def demand(self) -> Demand:
        return Demand.of(self.key, self.placement, self.seconds)


@dataclass(frozen=True)
class Unit:
    """What one job has to train: a cell."""

    key: str
    group: Hashable
    """What may share a job with it has the same."""
    cpus: float
    gpus: float
    seconds: float


def into_jobs(units: list[Unit], capacity: Capacity, start_seconds: float) -> list[list[Unit]]:
    """The units of each job."""
    groups: dict[Hashable, list[Unit]] = defaultdict(list)
    for unit in units:
        groups[unit.group].append(unit)
    return list(groups.values())


def jobs_of(
    cells: list[Cell],
    needs: Needs,
    data: Callable[[str], Location],
    seconds: Callable[[Cell, Placement], float],
    capacity: Capacity,
) -> list[Job]:
    """`cells` as jobs, for a cluster of `capacity`.

    Cells share workers if they are of one architecture, size and data set, and placed alike.
    data: the folder of a tokenizer's data set. seconds: of training a cell so placed.
    """
    by_key = {cell.key: cell for cell in cells}
    placements = {cell.key: needs.placement(cell) for cell in cells}
    units = []
    for cell in cells:
        placed = placements[cell.key]
        demand = Demand.of(cell.key, placed, seconds(cell, placed))
        group = (cell.arch, cell.size, cell.data, placed)
        units.append(Unit(cell.key, group, demand.cpus, demand.gpus, demand.seconds))
    return [
        Job(
            tuple(by_key[unit.key] for unit in job),
            data(by_key[job[0].key].tokenizer),
            placements[job[0].key],
            START_SECONDS + sum(unit.seconds for unit in job),
        )
        for job in into_jobs(units, capacity, START_SECONDS)
    ]


def refuse_what_never_fits(jobs: list[Job], capacity: Capacity) -> None:
    """Raises GridError for a job that a cluster of `capacity` could not hold if it were empty."""
    called = names({cell.key: vars(cell) for job in jobs for cell in job.cells})
    for job in jobs:
        demand, others = job.demand, len(job.cells) - 1
        if not capacity.holds(demand):
            beside = f" (as {others} more of its size)" if others else ""
            raise GridError(
                f"{called[job.key]}{beside} takes {demand.gpus:g} GPUs and {demand.cpus:g} CPUs; "
                f"this machine has {capacity.gpus} and {capacity.cpus:g}"
            )
