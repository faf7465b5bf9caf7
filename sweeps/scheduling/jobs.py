"""Jobs: which cells the same workers train, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from data.store.location import Location
from sweeps.errors import GridError
from sweeps.grids.needs import Needs
from sweeps.scheduling.packing import Capacity, Demand, Unit, into_jobs
from sweeps.sweep import READERS, Sweep
from trainers.cell import Cell, Placement
from trainers.names import names
from trainers.trunks import families, kept_steps, tokens_to_train, with_trunks

START_SECONDS = 15
"""How long a job takes until its workers train; measured by `benchmarks/sweep_time.py`."""


@dataclass(frozen=True)
class Job:
    """Cells that share workers."""

    cells: tuple[Cell, ...]
    """In the order in which they are trained."""
    data: Location
    placement: Placement
    to_train: tuple[int, ...] = ()
    """Tokens that each cell is expected to train itself, without those that it takes over from its
    trunk or its own checkpoint."""
    seconds: float = 0.0
    """Expected, including its start."""

    @property
    def key(self) -> str:
        return self.cells[0].key

    @property
    def demand(self) -> Demand:
        demand = Demand.of(self.key, self.placement, self.seconds)
        return replace(demand, cells=tuple(cell.key for cell in self.cells))


def kept_of(storage: Location, cells: list[Cell]) -> dict[str, list[int]]:
    """The steps of the checkpoints below `storage` that `cells` could resume from, by key of a cell
    or trunk."""
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda family: kept_steps(storage, family), families(cells))
    return {key: steps for each in found for key, steps in each.items()}


def in_phases(
    cells: list[Cell],
    targets: set[str],
    sweep: Sweep,
    seconds: Callable[[Cell, Placement], float],
    capacity: Capacity,
    kept: Mapping[str, list[int]],
) -> tuple[list[Job], list[Job]]:
    """The jobs of the cells that are not targets, and those of the targets, which wait for them.

    targets: keys of cells. The rest is as for `jobs_of`.
    """
    first = [cell for cell in cells if cell.key not in targets]
    last = [cell for cell in cells if cell.key in targets]
    placed = (sweep.grid.placement, sweep.data, seconds, capacity)
    return jobs_of(first, *placed, kept), jobs_of(last, *placed, with_trunks(kept, first))


def jobs_of(
    cells: list[Cell],
    needs: Needs,
    data: Callable[[str], Location],
    seconds: Callable[[Cell, Placement], float],
    capacity: Capacity,
    kept: Mapping[str, list[int]],
) -> list[Job]:
    """`cells` as jobs, for a cluster of `capacity`.

    Cells can share workers if they have the same architecture, size, data set and placement. Those
    of one trunk always do, by rising budget.
    data: the folder of a tokenizer's data set. seconds: for training a whole cell so placed.
    kept: as `kept_of` returns it.
    """
    by_key = {family[0].key: family for family in families(cells)}
    to_train = {key: tokens_to_train(family, kept) for key, family in by_key.items()}
    placements = {key: needs.placement(family[0]) for key, family in by_key.items()}
    units = []
    for key, family in by_key.items():
        placed, first = placements[key], family[0]
        # A token costs the same in all its cells.
        took = seconds(first, placed) * sum(to_train[key]) / first.tokens
        demand = Demand.of(key, placed, took)
        group = f"{first.arch} {first.size} {first.data} {placed}"
        units.append(Unit(key, group, demand.cpus, demand.gpus, demand.seconds, demand.accelerator))
    return [
        Job(
            tuple(cell for unit in job for cell in by_key[unit.key]),
            data(by_key[job[0].key][0].tokenizer),
            placements[job[0].key],
            tuple(tokens for unit in job for tokens in to_train[unit.key]),
            START_SECONDS + sum(unit.seconds for unit in job),
        )
        for job in into_jobs(units, capacity, START_SECONDS)
    ]


def refuse_what_never_fits(jobs: list[Job], capacity: Capacity) -> None:
    """Raises GridError for a job that would not fit even an empty cluster of `capacity`."""
    called = names({cell.key: vars(cell) for job in jobs for cell in job.cells})
    for job in jobs:
        demand, others = job.demand, len(job.cells) - 1
        if not capacity.holds(demand):
            beside = f", with {others} more of its job," if others else ""
            kind = f"{demand.accelerator} " if demand.accelerator else ""
            raise GridError(
                f"{called[job.key]}{beside} takes {demand.gpus:g} {kind}GPUs and "
                f"{demand.cpus:g} CPUs; "
                f"this machine has {capacity.gpus_for(demand)} and {capacity.cpus:g}"
                + without_gpus(demand.gpus, capacity)
            )


def without_gpus(wanted: float, capacity: Capacity) -> str:
    """What to do where a cell wants GPUs and there is none; "" elsewhere."""
    none = wanted and not capacity.gpus
    return "; to train on CPUs, write `gpus: 0` under 'placement'" if none else ""
