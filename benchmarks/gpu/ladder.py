"""Laws measured on the card by real sweeps: as many sizes, tokens and seeds as the time allows.

What is to be trained is chosen by the tokens a second that part `fast` has measured, in the order
that makes a law soonest, round by round: four sizes of each architecture on the first corpus, its
other sizes, the next corpus, more seeds. After each round the estimate is held against what it
took, and what comes back is gathered anew.
"""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import back
from benchmarks.gpu.sweep import POP909, Sweep, corpora, share
from benchmarks.gpu.visit import PRECISION, Rows, Visit, rows_of
from trainers.ladder import parse_size

CORE = ("1M", "5M", "20M", "50M")
"""The fewest sizes of which a law can be fitted."""
MORE = {"transformer": ("100M", "10M", "2M"), "lstm": ("10M", "2M")}
SMALL = ("4k", "6k", "8k", "10k")
TOKENS = (160_000_000, 80_000_000, 40_000_000, 20_000_000, 10_000_000, 5_000_000)
"""What each cell may see; the most is taken with which the core fits into `CORE_SHARE`."""
CORE_SHARE = 0.5
SEEDS = 3

SHARES = {"1M": 0.25, "20M": 0.5, "100M": 1.0}
"""Of the card, from each size on."""

A_SWEEP, A_CELL = 45.0, 12.0
"""Seconds that a round and a cell take beside training: to start, compile, evaluate, compose."""
SLOWEST = {"transformer": 3e12, "lstm": 1e12}
"""FLOP/s of a cell whose speed nobody has measured: a guess on the safe side."""

GATHER_SECONDS = 15
"""For what comes back, after the last round."""


@dataclass(frozen=True)
class Want:
    corpus: int
    arch: str
    size: str
    seed: int


def measure(visit: Visit) -> None:
    sources = corpora(visit)
    if not visit.data and sources[0]["source"] != POP909:
        print(f"open: POP909, for there is no {POP909} where CRESCENDO_CORPORA points", flush=True)
    rounds = Rounds(visit, sources)
    with busy(visit):
        for group in wanted(len(sources), visit.small):
            rounds.run(group)
    sweeps = [Sweep(visit, path.name) for path in sorted(visit.work.glob("ladder-*/"))]
    for sweep in sweeps:
        back.gather(visit, sweep)
    back.list_missing(visit, sweeps)


class Rounds:
    """Sweeps one after another, a sweep of a corpus taking in more cells each time."""

    def __init__(self, visit: Visit, sources: list[dict[str, Any]]) -> None:
        self.visit, self.sources = visit, sources
        self.speeds = measured_speeds(visit.out)
        self.tokens = 0
        """Of every cell; decided by the first round."""
        self.pace = 1.0
        """Seconds taken for each that was expected, so far."""
        self.chosen: list[Want] = []
        columns = ("corpus", "cells", "tokens", "expected_s", "took_s", "finished", "exit")
        self.rows = Rows(visit, "rounds", *columns)

    def run(self, group: list[Want]) -> None:
        """Train the first of the group, as many as there is time for, and gather what came."""
        visit, data = self.visit, self.sources[group[0].corpus]
        name, left = Path(data["source"]).name, self.visit.left - GATHER_SECONDS
        self.tokens = self.tokens or budget(group, self.speeds, CORE_SHARE * left, visit)
        expected = [self.pace * seconds_of(want, self.tokens, self.speeds) for want in group]
        some = fitting(expected, left)
        if not some:
            self.rows.add(corpus=name, note=f"open: no time for {len(group)} cells")
            return
        self.chosen += group[:some]
        mine = [want for want in self.chosen if want.corpus == group[0].corpus]
        sweep = Sweep(visit, f"ladder-{name.partition('.')[0]}")
        before, began = len(sweep.finished()), visit.left
        code = sweep.run(grid_of(visit, data, mine, self.tokens), left, until=lambda: False)
        took, finished, training = began - visit.left, len(sweep.finished()), sum(expected[:some])
        self.rows.add(
            corpus=name,
            cells=len(mine),
            tokens=self.tokens,
            expected_s=A_SWEEP + training,
            took_s=took,
            finished=finished,
            exit=code,
        )
        if finished > before:
            self.pace *= max(0.1, took - A_SWEEP) / training
        back.gather(visit, sweep, back.RESERVED_BYTES)


def wanted(corpora: int, small: bool) -> Iterator[list[Want]]:
    """What is to be trained, in groups, the sooner the more it makes a law."""
    archs = ("transformer", "lstm")
    sizes = SMALL if small else CORE
    for corpus in range(corpora):
        # By size, so that what is left out for time is left out of both.
        yield [Want(corpus, arch, size, 0) for size in sizes for arch in archs]
        if not small and corpus == 0:
            yield [Want(corpus, arch, size, 0) for arch in archs for size in MORE[arch]]
    for seed in range(1, 1 if small else SEEDS):
        for corpus in range(corpora):
            yield [Want(corpus, arch, size, seed) for size in sizes for arch in archs]


def measured_speeds(out: Path) -> dict[str, dict[str, float]]:
    """Tokens a second by architecture and size, as part `fast` has written them."""
    found: dict[str, dict[str, float]] = {}
    for row in rows_of(out, "fast", "speed"):
        if row["contender"] == "ours" and "tokens_per_second" in row:
            found.setdefault(row["arch"], {})[row["size"]] = row["tokens_per_second"]
    return found


def speed_of(want: Want, speeds: dict[str, dict[str, float]]) -> float:
    """Tokens a second: interpolated between the measured sizes in the logarithms, beyond them in
    proportion to the size; by `SLOWEST` if none was measured."""
    known = speeds.get(want.arch)
    n_params = parse_size(want.size)
    if not known:
        return SLOWEST[want.arch] / (6 * n_params)
    sizes = sorted(known, key=parse_size)
    at = [math.log(parse_size(size)) for size in sizes]
    log_speed = np.interp(math.log(n_params), at, [math.log(known[size]) for size in sizes])
    beyond = max(1.0, n_params / parse_size(sizes[-1]))
    return float(math.exp(log_speed) / beyond)


def seconds_of(want: Want, tokens: int, speeds: dict[str, dict[str, float]]) -> float:
    return A_CELL + tokens / speed_of(want, speeds)


def budget(
    group: list[Want], speeds: dict[str, dict[str, float]], seconds: float, visit: Visit
) -> int:
    """Tokens of each cell: the most of `TOKENS` with which the group fits, or else the fewest."""
    if visit.small:
        return 40_000

    def fits(tokens: int) -> bool:
        return sum(seconds_of(want, tokens, speeds) for want in group) <= seconds - A_SWEEP

    return next(filter(fits, TOKENS), TOKENS[-1])


def fitting(seconds: list[float], left: float) -> int:
    """How many of the cells that take so long, from the first on, fit beside a sweep's start."""
    return sum(end <= left - A_SWEEP for end in accumulate(seconds))


def grid_of(visit: Visit, data: dict[str, Any], cells: list[Want], tokens: int) -> dict[str, Any]:
    batch_tokens, context = visit.pick((32_768, 1024), (512, 64))
    placement = {"gpus": SHARES, "gpu_gb": 80} if visit.on_gpu else share(visit, 1.0)
    return {
        "data": data,
        "cells": [
            {"arch": want.arch, "size": want.size, "seed": want.seed, "tokens": tokens}
            for want in cells
        ],
        "training": {"batch_tokens": batch_tokens, "context": context, "precision": PRECISION},
        "placement": placement | {"checkpoint_seconds": 60},
    }


@contextmanager
def busy(visit: Visit) -> Iterator[None]:
    """Ask nvidia-smi once a second how busy the card is: into `utilisation.csv`, and as a row."""
    path, smi = visit.out / "utilisation.csv", shutil.which("nvidia-smi")
    if smi:
        query = ["--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
        with (
            path.open("w") as file,
            subprocess.Popen([smi, *query, "-l", "1"], stdout=file) as asks,
        ):
            try:
                yield
            finally:
                asks.terminate()
    else:
        yield
    lines = path.read_text().splitlines() if smi else []
    found = [line.split(", ") for line in lines if line.count(",") == 1]
    rows = Rows(visit, "the card", "seconds", "mean_percent", "share_idle", "most_memory_mb")
    if not found:
        rows.add(note="open: nvidia-smi said nothing" if smi else "open: no nvidia-smi")
        return
    percent = [float(each[0]) for each in found]
    rows.add(
        seconds=len(found),
        mean_percent=statistics.mean(percent),
        share_idle=sum(each == 0 for each in percent) / len(percent),
        most_memory_mb=max(float(each[1]) for each in found),
    )
