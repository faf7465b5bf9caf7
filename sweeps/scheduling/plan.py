"""What a grid will take, before anything is spent: `--dry-run`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rich.table import Table

from data.errors import DataError
from data.sources import facts
from data.sources.named import NAMED, check_source
from data.store.location import Location
from data.store.manifest import Manifest
from data.tokens.make import make_tokenizer
from sweeps import best
from sweeps.console import console, duration, print_table, table
from sweeps.errors import GridError
from sweeps.grids.grid import DataSpec
from sweeps.grids.needs import Needs, memory_bytes
from sweeps.scheduling.expected import throughput
from sweeps.scheduling.jobs import Job, in_phases, jobs_of, kept_of, without_gpus
from sweeps.scheduling.packing import Capacity, Demand, in_order, makespan
from sweeps.scheduling.plan_trunks import trunks_of
from sweeps.sweep import Listed, Sweep, only
from trainers.batches import in_batches
from trainers.best import in_epochs
from trainers.cell import Cell, Placement
from trainers.names import names, varying

MANY_EPOCHS = 4
"""Up to here, repeated data are worth nearly as much as new ones."""


@dataclass(frozen=True)
class Planned:
    """One cell of the plan."""

    cell: Cell
    placement: Placement
    memory: float
    """Bytes per GPU, or per worker if there is none."""
    to_train: int
    """Tokens still to train: fewer if it resumes from a checkpoint, 0 if it has ended."""
    seconds: float
    """For training these on the measured device, without evaluation."""
    refused: str = ""
    """Why it cannot be trained, if it cannot."""
    target: bool = False
    """Whether it waits until the others have ended and its loss has been forecast."""

    @property
    def gpus(self) -> float:
        return self.placement.workers * self.placement.gpus


def plan(
    cells: list[Cell],
    needs: Needs,
    seconds: Callable[[Cell, Placement], float],
    to_train: Mapping[str, int],
    targets: set[str],
) -> list[Planned]:
    """In the order of `cells`.

    seconds: for training a whole cell. to_train: tokens by key of a cell, without those that have
    ended. targets: keys of the cells to forecast.
    """
    found = []
    for cell in cells:
        placement = needs.placement(cell)
        memory = memory_bytes(cell, placement)
        limit = needs.gpu_gb * 1e9
        refused = ""
        if placement.gpus and memory > limit * placement.gpus:
            share = f"{placement.gpus:g} of " if placement.gpus < 1 else ""
            refused = f"needs {memory / 1e9:.1f} GB on {share}a GPU of {needs.gpu_gb:g} GB"
        tokens = to_train.get(cell.key, 0)
        took = seconds(cell, placement) * tokens / cell.tokens
        target = cell.key in targets
        found.append(Planned(cell, placement, memory, tokens, took, refused, target))
    return found


def costliest(
    cells: list[Cell],
    epochs: float,
    split: Mapping[str, int],
    needs: Needs,
    seconds: Callable[[Cell, Placement], float],
) -> Cell | None:
    """The cell that would take longest to train for so many epochs, with these as its tokens: a
    bound for whichever comes out best. None before the data are prepared.

    split: tokens of the training split, by fingerprint of the data.
    """
    longer = [
        replace(cell, tokens=in_batches(epochs * split[cell.data], cell.batch_tokens))
        for cell in cells
        if split[cell.data]
    ]
    took = {cell: seconds(cell, needs.placement(cell)) for cell in longer}
    return max(longer, key=lambda cell: took[cell], default=None)


def planned_manifests(sweep: Sweep) -> tuple[list[Manifest], bool]:
    """The data's manifests and True; or, before the data are prepared, what is known and False."""
    try:
        return sweep.manifests(), True
    except DataError:
        spec = sweep.grid.data
        if spec.source not in NAMED and Location.of(spec.source).local:
            check_source(spec.source)  # Cheap where files are near; a sweep would end with it.
        if spec.facts and (table := Location.of(spec.facts)).local:
            facts.Table(table).rows()
        return [_expected(spec, tokenizer) for tokenizer in spec.tokenizer], False


def _expected(spec: DataSpec, tokenizer: str) -> Manifest:
    made = make_tokenizer(tokenizer, spec.ticks_per_quarter)
    return Manifest(
        fingerprint="not prepared",
        source=spec.source,
        tokenizer=tokenizer,
        ticks_per_quarter=spec.ticks_per_quarter,
        vocab_size=made.vocab_size,
        bos_id=made.bos_id,
        splits={},
        rejected={},
        mended={},
        thresholds={},
    )


def this_machine() -> Capacity:
    import torch

    return Capacity(cpus=os.cpu_count() or 1, gpus=torch.cuda.device_count())


def parse_cluster(text: str) -> Capacity:
    """'8x1': eight nodes of one GPU; '2x4x48': two of four GPUs and 48 CPUs. Raises GridError.

    If CPUs are not given, there are assumed to be enough.
    """
    match = re.fullmatch(r"(\d+)x(\d+)(?:x(\d+))?", text)
    if not match:
        raise GridError(f"--cluster {text!r}: expected NODESxGPUS or NODESxGPUSxCPUS, such as 8x1")
    nodes, gpus, cpus = (int(part) if part else None for part in match.groups())
    assert nodes is not None
    assert gpus is not None
    return Capacity(cpus=nodes * cpus if cpus else float("inf"), gpus=nodes * gpus)


def show(
    sweep: Sweep,
    selection: str,
    cluster: str,
    gpu_price: float | None,
    gpu_tflops: float | None,
    gpu: str,
) -> int:
    """Print the plan of the selected cells; 2 if one fits nowhere.

    gpu_tflops, gpu: as for `sweeps.scheduling.expected.throughput`.
    """
    manifests, prepared = planned_manifests(sweep)
    every = sweep.grid.resolve(manifests)
    targets = sweep.grid.target_keys(manifests)
    listed = [Listed.of(cell, cell.key in targets) for cell in every]
    chosen = {cell.key for cell in only(listed, selection)}
    cells = [cell for cell in every if cell.key in chosen]
    needs = sweep.grid.placement
    stated = parse_cluster(cluster) if cluster else None
    here = this_machine()
    measured = throughput(sweep.out, cells, needs, here, gpu, gpu_tflops)
    seconds = measured.seconds
    ended = sweep.records(chosen)
    pending = [cell for cell in cells if cell.key not in ended]
    kept = kept_of(sweep.cells, cells)

    def phases(capacity: Capacity) -> list[list[Job]]:
        fitting = [p.cell for p in planned if not p.refused and p.to_train]
        found = [*in_phases(fitting, targets, sweep, seconds, capacity, kept)]
        if longest:
            found.append(jobs_of([longest], needs, sweep.data, seconds, capacity, {}))
        return [[job for job in jobs if capacity.holds(job.demand)] for jobs in found if jobs]

    to_train = dict(
        pair
        for jobs in in_phases(pending, targets, sweep, seconds, here, kept)
        for job in jobs
        for pair in zip((cell.key for cell in job.cells), job.to_train)
    )
    planned = plan(cells, needs, seconds, to_train, targets)
    split = {each.fingerprint: each.splits.get("train", {}).get("tokens", 0) for each in manifests}
    epochs = {cell.key: cell.tokens / split[cell.data] for cell in cells if split[cell.data]}
    # With --only, the best waits for the others.
    longer = 0 if selection or (not pending and best.has_ended(sweep)) else sweep.grid.best_epochs
    longest = costliest(every, longer, split, needs, seconds) if longer else None

    to_user = console()
    print_table(_table(planned, epochs))
    to_user.print(f"\nTimes are for {measured.device}.")
    if not prepared:
        to_user.print("The data are not prepared: the plan leaves that out.")
    if often := sum(each > MANY_EPOCHS for each in epochs.values()):
        to_user.print(
            f"{often} cells see their data more than {MANY_EPOCHS} times, from where on repeated "
            "data are worth less and less (Muennighoff et al. 2023)."
        )
    if ended:
        to_user.print(f"{len(ended)} cells have ended and take no time.")
    if waiting := sum(each.target for each in planned):
        to_user.print(
            f"Two phases: {len(planned) - waiting} cells; then, when all of these have ended and "
            f"the targets' losses are forecast from them, the targets: {waiting}."
        )
    if longer:
        to_user.print(_best(longer, longest, needs, seconds))
    if any(cell.trunk_key for cell in cells):
        to_user.print(trunks_of(cells, kept).line())
    jobs = [job for phase in phases(stated or here) for job in phase]
    hours = sum(job.demand.gpus * job.seconds for job in jobs) / 3600
    if hours:
        cost = f", {hours * gpu_price:,.2f} at {gpu_price:g} a GPU-hour" if gpu_price else ""
        to_user.print(f"GPU-hours {hours:,.1f}{cost}")
    wanted = len(pending) + (longest is not None)
    to_user.print(_on("This machine", here, phases(here), planned, wanted))
    if stated:
        to_user.print(_on(f"A cluster of {cluster}", stated, phases(stated), planned, wanted))

    called = names({cell.key: vars(cell) for cell in every})
    refused = [f"{called[p.cell.key]} {p.refused}" for p in planned if p.refused]
    for each in planned:
        demand = Demand.of(each.cell.key, each.placement, each.seconds)
        if stated and not each.refused and not stated.holds(demand):
            refused.append(
                f"{called[each.cell.key]} takes {demand.gpus:g} GPUs and {demand.cpus:g} CPUs; "
                f"{cluster} has {stated.gpus} and {stated.cpus:g}"
            )
    for line in refused:
        to_user.print(f"Does not fit: {line}")
    return 2 if refused else 0


def _table(planned: list[Planned], epochs: Mapping[str, float]) -> Table:
    """epochs: passes over the training split, by key; empty before the data are prepared."""
    varied = varying(vars(each.cell) for each in planned)
    shown = any(each.to_train != each.cell.tokens for each in planned)
    tokens = ["tokens", *["epochs"] * bool(epochs), *["to train"] * shown]
    numbers = ["n_params", *tokens, "FLOPs", "GB", "GPUs", "time", "GPU-hours"]
    rows = table(["arch", "size", *varied], numbers, [""] * any(each.target for each in planned))
    for each in planned:
        cell = each.cell
        rows.add_row(
            *(str(getattr(cell, name)) for name in ("arch", "size", *varied)),
            f"{cell.rung.counts.n_params:,}",
            f"{cell.tokens:,}",
            *[f"{epochs[key]:.2g}" for key in [cell.key] if key in epochs],
            *[f"{each.to_train:,}"] * shown,
            f"{cell.flops:.2e}",
            f"{each.memory / 1e9:.2f}",
            f"{each.gpus:g} {each.placement.accelerator}".strip(),
            duration(each.seconds),
            f"{each.gpus * each.seconds / 3600:.2f}",
            *["target"] * each.target,
        )
    return rows


def _best(
    epochs: float,
    longest: Cell | None,
    needs: Needs,
    seconds: Callable[[Cell, Placement], float],
) -> str:
    begin = f"When all cells have ended, the best is trained for {in_epochs(epochs)}"
    if longest is None:
        return f"{begin}: what that takes is known when the data are prepared."
    took = duration(seconds(longest, needs.placement(longest)))
    return (
        f"{begin}: {took} at most, which is what it takes if the costliest, {longest.arch} "
        f"{longest.size}, comes out best ({longest.tokens:,} tokens)."
    )


def _on(
    name: str,
    capacity: Capacity,
    phases: list[list[Job]],
    planned: list[Planned],
    wanted: int,
) -> str:
    """phases: the jobs that fit there. wanted: how many cells there are to train."""
    jobs = [job for phase in phases for job in phase]
    if not jobs:
        instead = without_gpus(max((each.gpus for each in planned), default=0), capacity)
        return (
            f"{name}: fits no cell; it has {capacity.gpus} GPUs and {capacity.cpus:g} CPUs{instead}"
        )
    spans = [span(phase, capacity) for phase in phases]
    parts = f" ({' and '.join(map(duration, spans))})" if len(spans) > 1 else ""
    cells = sum(len(job.cells) for job in jobs)
    left_out = f" for the {cells} cells that fit" if cells < wanted else ""
    return f"{name}: {duration(sum(spans))}{parts}{left_out}, in {len(jobs)} jobs"


def span(jobs: list[Job], capacity: Capacity) -> float:
    """Seconds that jobs take on a cluster of this capacity."""
    demands = [job.demand for job in jobs]
    return makespan(in_order(demands, capacity), capacity)
