"""What a grid will take, before anything is spent: `--dry-run`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from rich.table import Table

from data.errors import DataError
from data.store.manifest import Manifest
from data.tokens.make import make_tokenizer
from sweeps.console import console, table
from sweeps.errors import GridError
from sweeps.grid import DataSpec
from sweeps.needs import Needs, memory_bytes
from sweeps.packing import Capacity, Demand, in_order, makespan
from sweeps.sweep import Listed, Sweep, only
from sweeps.throughput import Throughput, measure
from trainers.cell import Cell, Placement
from trainers.names import names, varying

START_SECONDS = 15
"""Of a cell, before its first step and after its last; `benchmarks/sweep_time.py` measures it."""


@dataclass(frozen=True)
class Planned:
    """One cell of the plan."""

    cell: Cell
    placement: Placement
    memory: float
    """Bytes on each GPU, or of each worker where there is none."""
    seconds: float
    """On the device that was measured, start and stop included, evaluation not."""
    refused: str = ""
    """Why it cannot be trained, if it cannot."""
    target: bool = False
    """Whether it waits until the others have ended and its loss is forecast."""

    @property
    def demand(self) -> Demand:
        return Demand.of(self.cell.key, self.placement, self.seconds)


def plan(cells: list[Cell], needs: Needs, measured: Throughput, targets: set[str]) -> list[Planned]:
    """In the order of `cells`. targets: keys of those that are forecast."""
    found = []
    for cell in cells:
        placement = needs.placement(cell)
        memory = memory_bytes(cell, placement)
        limit = needs.gpu_gb * 1e9
        refused = ""
        if placement.gpus and memory > limit * placement.gpus:
            share = f"{placement.gpus:g} of " if placement.gpus < 1 else ""
            refused = f"needs {memory / 1e9:.1f} GB on {share}a GPU of {needs.gpu_gb:g} GB"
        seconds = START_SECONDS + measured.seconds(cell, placement)
        found.append(Planned(cell, placement, memory, seconds, refused, cell.key in targets))
    return found


def planned_manifests(sweep: Sweep) -> tuple[list[Manifest], bool]:
    """The data's manifests, and whether they are there; else what is known before preparing."""
    try:
        return sweep.manifests(), True
    except DataError:
        spec = sweep.grid.data
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

    CPUs that are not given are taken to be enough.
    """
    match = re.fullmatch(r"(\d+)x(\d+)(?:x(\d+))?", text)
    if not match:
        raise GridError(f"--cluster {text!r}: expected NODESxGPUS or NODESxGPUSxCPUS, such as 8x1")
    nodes, gpus, cpus = (int(part) if part else None for part in match.groups())
    assert nodes is not None
    assert gpus is not None
    return Capacity(cpus=nodes * cpus if cpus else float("inf"), gpus=nodes * gpus)


def on_gpus(cells: list[Cell], tflops: float) -> Throughput:
    """What is assumed of GPUs where there is none to measure."""
    flat = {cell.arch: [(1.0, tflops * 1e12)] for cell in cells}
    return Throughput(f"GPUs that sustain {tflops:g} TFLOP/s (assumed)", flat)


def show(
    sweep: Sweep, selection: str, cluster: str, gpu_price: float | None, gpu_tflops: float
) -> int:
    """Print the plan of the selected cells; 2 if one fits nowhere."""
    manifests, prepared = planned_manifests(sweep)
    every = sweep.grid.resolve(manifests)
    targets = sweep.grid.target_keys(manifests)
    listed = [Listed.of(cell, cell.key in targets) for cell in every]
    chosen = {cell.key for cell in only(listed, selection)}
    cells = [cell for cell in every if cell.key in chosen]
    needs = sweep.grid.placement
    stated = parse_cluster(cluster) if cluster else None
    here = this_machine()
    if needs.gpus and not here.gpus:
        measured = on_gpus(cells, gpu_tflops)
    else:
        threads = max(1, round(min(needs.cpus, here.cpus)))
        measured = measure(cells, threads=threads, micro_tokens=needs.micro_tokens)
    planned = plan(cells, needs, measured, targets)

    to_user = console()
    to_user.print(_table(planned))
    to_user.print(f"\nTimes are for {measured.device}.")
    if not prepared:
        to_user.print("The data are not prepared: preparing them is not in the plan.")
    if waiting := sum(each.target for each in planned):
        to_user.print(
            f"Two phases: {len(planned) - waiting} cells; then, when all of these have ended and "
            f"the targets' losses are forecast from them, the targets: {waiting}."
        )
    hours = sum(p.demand.gpus * p.seconds for p in planned) / 3600
    if hours:
        cost = f", {hours * gpu_price:,.2f} at {gpu_price:g} a GPU-hour" if gpu_price else ""
        to_user.print(f"GPU-hours {hours:,.1f}{cost}")
    to_user.print(f"{_on('This machine', here, planned)}")
    if stated:
        to_user.print(f"{_on(f'A cluster of {cluster}', stated, planned)}")

    called = names({cell.key: vars(cell) for cell in every})
    refused = [f"{called[p.cell.key]} {p.refused}" for p in planned if p.refused]
    for each in planned:
        demand = each.demand
        if stated and not each.refused and not stated.holds(demand):
            refused.append(
                f"{called[each.cell.key]} takes {demand.gpus:g} GPUs and {demand.cpus:g} CPUs; "
                f"{cluster} has {stated.gpus} and {stated.cpus:g}"
            )
    for line in refused:
        to_user.print(f"Does not fit: {line}")
    return 2 if refused else 0


def _table(planned: list[Planned]) -> Table:
    varied = varying(vars(each.cell) for each in planned)
    numbers = ["n_params", "tokens", "FLOPs", "GB", "GPUs", "time", "GPU-hours"]
    rows = table(["arch", "size", *varied], numbers, [""] * any(each.target for each in planned))
    for each in planned:
        cell = each.cell
        rows.add_row(
            *(str(getattr(cell, name)) for name in ("arch", "size", *varied)),
            f"{cell.rung.counts.n_params:,}",
            f"{cell.tokens:,}",
            f"{cell.flops:.2e}",
            f"{each.memory / 1e9:.2f}",
            f"{each.demand.gpus:g}",
            duration(each.seconds),
            f"{each.demand.gpus * each.seconds / 3600:.2f}",
            *["target"] * each.target,
        )
    return rows


def _on(name: str, capacity: Capacity, planned: list[Planned]) -> str:
    accepted = [each for each in planned if not each.refused]
    fitting = [each for each in accepted if capacity.holds(each.demand)]
    if not fitting:
        return f"{name}: carries no cell; it has {capacity.gpus} GPUs and {capacity.cpus:g} CPUs"
    spans = in_phases(fitting, capacity)
    parts = f" ({' and '.join(map(duration, spans))})" if len(spans) > 1 else ""
    left_out = f" for the {len(fitting)} cells that it carries" if fitting != accepted else ""
    return f"{name}: {duration(sum(spans))}{parts}{left_out}"


def in_phases(planned: list[Planned], capacity: Capacity) -> list[float]:
    """Seconds of each phase: of the cells that are no targets, and then of the targets."""
    phases = [[each.demand for each in planned if each.target == last] for last in (False, True)]
    return [makespan(in_order(phase, capacity), capacity) for phase in phases if phase]


def duration(seconds: float) -> str:
    """'45 s', '12 min', '3.4 h', '2.1 d'."""
    for unit, length, digits in (("d", 86_400, 1), ("h", 3600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"
