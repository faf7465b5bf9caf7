"""How long cells will take: as long as in sweeps before; else as measured here; else by a guess.

What sweeps before took stands in a file beside them, in `--out`, to which every sweep adds its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from data.store.location import Location
from data.store.versioned import Line, VersionError, Word, read_versioned
from sweeps.console import say
from sweeps.errors import GridError
from sweeps.grids.needs import Needs
from sweeps.scheduling.gpu_table import sustained
from sweeps.scheduling.packing import Capacity
from sweeps.scheduling.paid import spent, taken_over
from sweeps.scheduling.throughput import Throughput, measure
from trainers.cell import Cell
from trainers.records import Count, Positive, Record

TFLOPS = 30.0
"""What a GPU is assumed to sustain where none was measured."""
REACH = 4.0
"""By how much a cell's FLOPs per token may lie beyond those of cells before."""
SHORTEST = 1.0
"""Seconds of training: what took less says little of longer ones."""


@dataclass(frozen=True)
class Rate:
    """How fast cells of one architecture and size were, the median."""

    device: Line
    threads: int
    """Of a worker on a CPU; 0 on a GPU."""
    arch: Word
    flops_per_token: Positive
    flops_per_second: Positive
    """Of one worker, on a whole GPU if it has a share."""
    cells: Count

    @property
    def of(self) -> tuple[str, str, float]:
        return self.device, self.arch, self.flops_per_token


@dataclass(frozen=True)
class Rates:
    """The file."""

    rates: list[Rate] = field(default_factory=list)
    """The newest last."""
    schema: int = 1

    def with_newer(self, new: Sequence[Rate]) -> Rates:
        replaced = {rate.of for rate in new}
        return Rates([*(rate for rate in self.rates if rate.of not in replaced), *new])


def rates_file(out: Location) -> Location:
    return out / "throughput.json"


def read_rates(out: Location) -> Rates:
    """None where there is no file, or none that can be read, which is told."""
    try:
        return read_versioned(rates_file(out), Rates, 1, "remove it; sweeps make it again")
    except FileNotFoundError:
        return Rates()
    except VersionError as error:
        say(str(error))
        return Rates()


def learn(out: Location, records: Iterable[Record], shares: dict[str, float]) -> None:
    """Add to the file of `out` how fast these cells were. shares: as for `rates_of`."""
    if new := rates_of(records, shares):
        rates_file(out).write_text(json.dumps(asdict(read_rates(out).with_newer(new)), indent=1))


def rates_of(records: Iterable[Record], shares: dict[str, float]) -> list[Rate]:
    """How fast the cells were that have finished and took long enough to tell.

    shares: by key, the part of a GPU that each worker held; 1 where it is not said.
    """
    found: dict[tuple, list[float]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.ended, reverse=True):
        m, on = record.measured, record.ran_on
        if record.status != "finished" or "device" not in on:
            continue
        training = spent(record).training
        if training < SHORTEST or min(m["flops"], m["tokens"]) <= 0:
            continue
        per_token = m["flops"] / m["tokens"]
        rate = per_token * (m["tokens"] - taken_over(record)) / training
        worker = rate / on.get("workers", 1) / shares.get(record.cell_key, 1.0)
        found[*device_of(on), record.params["arch"], per_token].append(worker)
    return [
        Rate(device, threads, arch, per_token, median(each), len(each))
        for (device, threads, arch, per_token), each in reversed(found.items())
        if median(each) > 0
    ]


def device_of(on: dict[str, Any]) -> tuple[str, int]:
    """What a worker ran on, and with how many threads, of a record's `ran_on`."""
    if on["device"] != "cpu":
        return on["device"], 0
    return on.get("processor", "CPU"), on.get("threads", 1)


def as_before(rates: Sequence[Rate], cells: Sequence[Cell], needs: Needs) -> Throughput | None:
    """The throughput of the newest device of the kind that the grid needs; None unless cells like
    all of these ran on it."""
    threads = 0 if needs.gpus else max(1, round(needs.cpus))
    alike = [rate for rate in rates if rate.threads == threads]
    if not alike:
        return None
    device = alike[-1].device
    mine = [rate for rate in alike if rate.device == device]
    measured: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for rate in sorted(mine, key=lambda rate: rate.flops_per_token):
        measured[rate.arch].append((rate.flops_per_token, rate.flops_per_second))
    for cell in cells:
        per_token = cell.flops / cell.tokens
        if cell.arch not in measured:
            return None
        smallest, largest = measured[cell.arch][0][0], measured[cell.arch][-1][0]
        if not smallest / REACH <= per_token <= largest * REACH:
            return None
    count = sum(rate.cells for rate in mine)
    on = f", {threads} thread{'s' * (threads > 1)}" if threads else ""
    before = f"as {count} cell{'s' * (count > 1)} before took"
    return Throughput(f"{device}{on}, {before}", dict(measured))


def assumed(cells: Sequence[Cell], tflops: float) -> Throughput:
    """The throughput assumed of GPUs if there is none to measure."""
    flat = {cell.arch: [(1.0, tflops * 1e12)] for cell in cells}
    return Throughput(f"GPUs that sustain {tflops:g} TFLOP/s (assumed)", flat)


def throughput(
    out: Location,
    cells: Sequence[Cell],
    needs: Needs,
    here: Capacity,
    gpu: str = "",
    tflops: float | None = None,
) -> Throughput:
    """Of what the cells will run on. Raises GridError.

    out: the folder of sweeps. here: what can be measured. gpu: a card in the table of those
    measured. tflops: what a GPU sustains, if that is to be assumed.
    """
    if gpu and not needs.gpus:
        raise GridError(f"--gpu {gpu}: the grid trains on CPUs; give its placement gpus")
    if gpu:
        return sustained(gpu, cells)
    if tflops is None and (known := as_before(read_rates(out).rates, cells, needs)):
        return known
    if needs.gpus and (tflops is not None or not here.gpus):
        return assumed(cells, tflops or TFLOPS)
    threads = max(1, round(min(needs.cpus, here.cpus)))
    return measure(list(cells), threads=threads, micro_tokens=needs.micro_tokens)
