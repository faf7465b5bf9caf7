"""The gradient of a global batch: summed over micro-batches and workers, in the memory there is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from trainers.batches import IGNORED, Batches


@dataclass(frozen=True)
class World:
    """Where the loop runs."""

    rank: int
    size: int
    device: torch.device

    def sum(self, value: Tensor) -> Tensor:
        """`value` summed over all workers."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def agree(self, flag: bool) -> bool:
        """The first worker's opinion, on all workers."""
        if self.size == 1:
            # Without asking the device, which would have to finish its step to answer.
            return flag
        mine = torch.tensor(float(flag and self.rank == 0), device=self.device)
        return bool(self.sum(mine).item())


def gradient(
    model: nn.Module,
    batches: Batches,
    batch: tuple[np.ndarray, np.ndarray],
    world: World,
    micro_tokens: int,
) -> tuple[Tensor, int]:
    """Leave in `model` the gradient of the mean loss over all scored tokens of the global batch.

    Where a micro-batch does not fit in any worker's memory, all of them halve theirs and begin the
    batch again: the global batch stays what it is. Returns the summed nats of this worker's share,
    and the micro-batch that fits. Raises MemoryError if a single window does not.
    """
    scored = int((batch[1] != IGNORED).sum())
    micro_tokens = min(micro_tokens, batches.windows_per_batch * batches.context)
    while True:
        nats = None
        # Only noted here: the exception holds on to the memory that the next try needs.
        with contextlib.suppress(torch.OutOfMemoryError):
            share = batches.share(batch, world.rank, world.size, micro_tokens)
            nats = _accumulate(model, share, world.device, 1 / scored)
        if _exchange(model, world, fits=nats is not None) and nats is not None:
            return nats, micro_tokens
        model.zero_grad(set_to_none=True)
        if world.device.type == "cuda":
            torch.cuda.empty_cache()
        if micro_tokens <= batches.context:
            raise MemoryError(
                f"one window of {batches.context} tokens does not fit in memory; take a shorter "
                "context, a smaller model or a larger device"
            )
        micro_tokens = max(batches.context, micro_tokens // 2)


def _accumulate(
    model: nn.Module,
    share: Iterator[tuple[np.ndarray, np.ndarray]],
    device: torch.device,
    scale: float,
) -> Tensor:
    """Add up the gradient of scale * (summed nats). Returns the summed nats, detached.

    share: micro-batches of inputs and targets, each (rows, time).
    """
    total = torch.zeros((), device=device)
    for inputs, targets in share:
        with _precision(device):
            logits = model(torch.from_numpy(inputs).to(device))
            nats = F.cross_entropy(
                logits.flatten(0, 1).float(),
                torch.from_numpy(targets).to(device).flatten(),
                reduction="sum",
            )
        (nats * scale).backward()
        total += nats.detach()
    return total


def _exchange(model: nn.Module, world: World, fits: bool) -> bool:
    """Sum the gradients over all workers. Returns whether every worker had memory for its share.

    After the backward pass and in one piece, not during it as DistributedDataParallel does: a
    worker that runs out of memory would otherwise leave the others waiting for ever.
    """
    if world.size == 1:
        return fits
    parameters = list(model.parameters())
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    failed = torch.tensor([float(not fits)], device=world.device)
    flat = world.sum(torch.cat([*(part.flatten() for part in parts), failed]))
    for parameter, summed in zip(parameters, flat[:-1].split([p.numel() for p in parameters])):
        parameter.grad = summed.view_as(parameter)
    return not flat[-1].item()


def _precision(device: torch.device) -> contextlib.AbstractContextManager:
    """bf16 where there are tensor cores; a CPU computes it a hundred times slower than fp32."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()
