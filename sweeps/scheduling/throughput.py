"""How long cells take: measured in a few seconds on this machine, or guessed if only the order
matters."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from trainers.cell import Cell, Placement

STEP_COST = 40_000
"""The overhead of a token, in parameters: on a CPU, the time of small models depends on the number
of operations, not on their size."""

SECONDS_PER_ARCH = 1.2
"""Time for measuring; the largest models are extrapolated from those that fit in it."""

ENOUGH_SECONDS = 0.15
"""Time for the steps of one size."""

STEPS = 3
"""The fewest steps of one size."""

CPU_TOKENS = 1024
"""The most tokens of a measured step on a CPU: enough to reach full speed."""

LARGEST_BUILT = {"cpu": 20_000_000, "cuda": 1_000_000_000}
"""The most parameters of a measured model, with embeddings: more would take minutes, or too much
memory."""

STAND_IN = "5M"
"""The size measured for an architecture whose cells are all too large to measure."""


def work(cell: Cell, tokens: float) -> float:
    """The cost of training, in arbitrary units: enough to order cells and to guess the time
    left."""
    return tokens * (cell.rung.counts.n_params + STEP_COST)


WORK_PER_SECOND = {"cpu": 6e9, "gpu": 1e12}
"""The rate of one core, or one GPU: close enough to tell a long job from a short one."""


def guessed_seconds(cell: Cell, placement: Placement) -> float:
    """A guess of the time to train the whole cell, without measuring."""
    if placement.gpus:
        rate = WORK_PER_SECOND["gpu"] * placement.gpus
    else:
        rate = WORK_PER_SECOND["cpu"] * placement.cpus
    return work(cell, cell.tokens) / rate / placement.workers


@dataclass(frozen=True)
class Throughput:
    """FLOP/s achieved by one worker in training, by architecture and FLOPs per token."""

    device: str
    measured: dict[str, list[tuple[float, float]]]
    """(FLOPs per token, FLOP/s) in ascending order, by architecture."""

    def seconds(self, cell: Cell, placement: Placement) -> float:
        """The time to train the whole cell.

        The rate is interpolated in the logarithm of the FLOPs between measured sizes, and constant
        beyond the largest. Workers are assumed to share the work equally, and a fraction of a GPU
        to give that fraction of its rate.
        """
        per_token, rates = np.array(self.measured[cell.arch]).T
        rate = np.interp(np.log(cell.flops / cell.tokens), np.log(per_token), rates)
        shares = placement.workers * (placement.gpus or 1)
        return float(cell.flops / rate / shares)


def measure(cells: list[Cell], threads: int, micro_tokens: int) -> Throughput:
    """Train a few steps of some sizes of each architecture, in a few seconds."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_cpu = f"CPU, {threads} thread{'s' * (threads > 1)}"
    name = torch.cuda.get_device_name() if device.type == "cuda" else on_cpu
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found: dict[str, list[tuple[float, float]]] = {}
    archs = {cell.arch for cell in cells}
    small = {arch: _small(cells, arch, LARGEST_BUILT[device.type]) for arch in archs}
    # The first steps of a process warm up PyTorch, and are not representative.
    first = min(itertools.chain(*small.values()), key=lambda cell: cell.flops / cell.tokens)
    _rate(first, device, micro_tokens)
    for arch in archs:
        sizes = {cell.flops / cell.tokens: cell for cell in small[arch]}
        until = _clock(device) + SECONDS_PER_ARCH
        largest = min(sizes)
        rates = found.setdefault(arch, [])
        while True:
            rates.append((largest, _rate(sizes[largest], device, micro_tokens)))
            # From the smallest size, leap to the largest for which there is time.
            step = CPU_TOKENS / rates[-1][1]
            left = until - _clock(device)
            next_ones = [size for size in sizes if size > largest and STEPS * size * step < left]
            if not next_ones:
                break
            largest = max(next_ones)
    torch.set_num_threads(before)
    return Throughput(name, found)


def _small(cells: list[Cell], arch: str, largest: int) -> list[Cell]:
    """The architecture's cells that are small enough to be built; if there are none, a stand-in."""
    mine = [cell for cell in cells if cell.arch == arch]
    built = [c for c in mine if c.rung.counts.n_params + c.rung.counts.embedding <= largest]
    if built:
        return built
    # With learned positions, a long context would make it large again.
    tokens = min(mine[0].context, CPU_TOKENS)
    stand_in = replace(mine[0], size=STAND_IN, context=tokens, batch_tokens=tokens, tokens=tokens)
    return [stand_in]


def _rate(cell: Cell, device: torch.device, micro_tokens: int) -> float:
    """FLOP/s of one worker in its best step."""
    import torch
    from torch.nn import functional as F

    from trainers.optim import optimizer

    model = cell.rung.build().to(device)
    step = optimizer(model, cell.peak_rates, cell.weight_decay, cell.optimizer).step
    # Windows are shortened if they would take long; the FLOPs counted are those of the short ones.
    most = CPU_TOKENS if device.type == "cpu" else micro_tokens
    context = min(cell.context, most)
    windows = max(1, min(cell.batch_tokens, micro_tokens, most) // context)
    seconds: list[float] = []
    while len(seconds) < STEPS or (sum(seconds) < ENOUGH_SECONDS and len(seconds) < 50):
        tokens = torch.randint(cell.vocab_size, (windows, context), device=device)
        started = _clock(device)
        logits = model(tokens)
        F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten()).backward()
        step()
        seconds.append(_clock(device) - started)
    return cell.rung.flops_per_token(context) * windows * context / min(seconds)


def _clock(device: torch.device) -> float:
    """Seconds; on a CPU, processor time, because its present other load will not last."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()
