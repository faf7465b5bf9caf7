"""The gradient of a global batch, summed over micro-batches that fit in memory and over workers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from trainers.batches import IGNORED, Batches

AFTER_PROBE = 3
"""Numbers per parameter that are allocated at the first step and kept: AdamW's moments, and the
buckets in which gradients are exchanged."""


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
        """The first worker's flag, on all workers."""
        if self.size == 1:
            # No tensor: reading one back would wait for the device to finish its step.
            return flag
        mine = torch.tensor(float(flag and self.rank == 0), device=self.device)
        return bool(self.sum(mine).item())

    def told(self, text: str) -> str:
        """The first worker's text, on all workers."""
        said = [text]
        if self.size > 1:
            distributed.broadcast_object_list(said, src=0, device=self.device)
        return said[0]


def largest_micro_tokens(
    model: nn.Module, world: World, windows: int, context: int, micro_tokens: int
) -> int:
    """The largest of `micro_tokens` and its halves that fits in the memory of every worker.

    model: not replicated. windows: per batch and worker, of `context` tokens each. Tried before the
    first step, with memory set aside for what is allocated later: once workers exchange gradients
    in the backward pass, one that ran out of memory would leave the others waiting for ever.
    Raises MemoryError if a single window does not fit.
    """
    later = AFTER_PROBE * sum(parameter.numel() for parameter in model.parameters())
    micro_tokens = min(micro_tokens, windows * context)
    while True:
        tokens = np.zeros((max(1, micro_tokens // context), context), np.int64)
        fits = _fits(model, tokens, later, world.device)
        model.zero_grad(set_to_none=True)
        if world.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(world.device)
        if not world.sum(torch.tensor(float(not fits), device=world.device)).item():
            return micro_tokens
        if micro_tokens <= context:
            raise MemoryError(
                f"one window of {context} tokens does not fit in memory; take a shorter "
                "context, a smaller model or a larger device"
            )
        micro_tokens = max(context, micro_tokens // 2)


def _fits(model: nn.Module, tokens: np.ndarray, later: int, device: torch.device) -> bool:
    """Whether there is memory for a step on `tokens` besides `later` numbers.

    A separate function, so that what it holds is freed before the next try.
    """
    try:
        aside = torch.empty(later, device=device)
        _summed_nats(model, tokens, tokens, device).backward()
        del aside
    except torch.OutOfMemoryError:
        return False
    return True


def replicated(model: nn.Module, world: World) -> nn.Module:
    """`model`, exchanging gradients with the other workers while they are computed."""
    if world.size == 1:
        return model
    return DistributedDataParallel(model, broadcast_buffers=False)


def gradient(
    model: nn.Module,
    batches: Batches,
    batch: tuple[np.ndarray, np.ndarray],
    world: World,
    micro_tokens: int,
) -> Tensor:
    """Leave in `model` the gradient of the mean loss over all scored tokens of the global batch.

    model: `replicated`. Returns the summed nats of this worker's share, detached.
    """
    # DistributedDataParallel averages over workers; a sum is needed.
    scale = world.size / int((batch[1] != IGNORED).sum())
    share = list(batches.share(batch, world.rank, world.size, micro_tokens))
    total = torch.zeros((), device=world.device)
    for number, (inputs, targets) in enumerate(share, start=1):
        # Gradients are exchanged once, with the last micro-batch.
        alone = world.size > 1 and number < len(share)
        with model.no_sync() if alone else contextlib.nullcontext():  # type: ignore[operator]
            nats = _summed_nats(model, inputs, targets, world.device)
            (nats * scale).backward()
        total += nats.detach()
    return total


def _summed_nats(
    model: nn.Module, inputs: np.ndarray, targets: np.ndarray, device: torch.device
) -> Tensor:
    """inputs, targets: (rows, time) int64."""
    logits = model(torch.from_numpy(inputs).to(device))
    return F.cross_entropy(
        logits.flatten(0, 1),
        torch.from_numpy(targets).to(device).flatten(),
        reduction="sum",
    )
