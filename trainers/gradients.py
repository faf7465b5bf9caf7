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
from trainers.device import alone_on
from trainers.optim import moments

NO_TOKEN = -1
"""Stands for a token that no target is, so that all are scored."""


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
    model: nn.Module,
    world: World,
    windows: int,
    context: int,
    micro_tokens: int,
    precision: str = "fp32",
    optimizer: str = "adamw",
) -> int:
    """The largest of `micro_tokens` and its halves that fits in the memory of every worker.

    model: not replicated. windows: per batch and worker, of `context` tokens each. precision,
    optimizer: as in `trainers.cell.Cell`. Tried before the first step, with memory set aside for
    what is allocated then and kept, moments and the buckets in which gradients are exchanged: once
    workers exchange them in the backward pass, one that ran out of memory would leave the others
    waiting for ever. Cells that share a card try one after another, as each takes more than it
    needs later.
    Raises MemoryError if a single window does not fit.
    """
    buckets = sum(parameter.numel() for parameter in model.parameters())
    later = buckets + moments(model, optimizer)
    micro_tokens = min(micro_tokens, windows * context)
    while True:
        tokens = np.zeros((max(1, micro_tokens // context), context), np.uint16)
        with alone_on(world.device):
            fits = _fits(model, tokens, later, world.device, precision)
            _free(model, world.device)
        if world.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(world.device)
        if not world.sum(torch.tensor(float(not fits), device=world.device)).item():
            return micro_tokens
        if micro_tokens <= context:
            raise MemoryError(
                f"one window of {context} tokens does not fit in memory; take a shorter "
                "context, a smaller model or a larger device"
            )
        micro_tokens = max(context, micro_tokens // 2)


def _fits(
    model: nn.Module, tokens: np.ndarray, later: int, device: torch.device, precision: str
) -> bool:
    """Whether there is memory for a step on `tokens` besides `later` numbers.

    A separate function, so that what it holds is freed before the next try.
    """
    try:
        aside = torch.empty(later, device=device)
        summed_nats(model, tokens, tokens, NO_TOKEN, device, precision).backward()
        del aside
    except torch.OutOfMemoryError:
        return False
    return True


def _free(model: nn.Module, device: torch.device) -> None:
    """Forget the gradients, and leave to others on the same card what they took."""
    model.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.empty_cache()


def replicated(model: nn.Module, world: World) -> nn.Module:
    """`model`, exchanging gradients with the other workers while they are computed."""
    if world.size == 1:
        return model
    return DistributedDataParallel(model, broadcast_buffers=False)


def gradient_that_fits(
    model: nn.Module,
    batches: Batches,
    batch: tuple[np.ndarray, np.ndarray],
    world: World,
    micro_tokens: int,
    precision: str = "fp32",
) -> tuple[Tensor, int]:
    """`gradient`, in micro-batches halved until they fit; and the tokens of one that did.

    On a card that cells share, memory that was there at the first step may be gone at a later one.
    Raises torch.OutOfMemoryError if a single window does not fit, or if there are several workers:
    the others then wait for gradients that this one cannot send.
    """
    while True:
        with contextlib.suppress(torch.OutOfMemoryError):
            return gradient(model, batches, batch, world, micro_tokens, precision), micro_tokens
        _free(model, world.device)
        if world.size > 1 or micro_tokens <= batches.context:
            raise torch.OutOfMemoryError(
                f"out of memory with {micro_tokens} tokens at once; take a larger share of the "
                "device, a smaller micro_tokens or a shorter context"
            )
        micro_tokens = max(batches.context, micro_tokens // 2)


def gradient(
    model: nn.Module,
    batches: Batches,
    batch: tuple[np.ndarray, np.ndarray],
    world: World,
    micro_tokens: int,
    precision: str = "fp32",
) -> Tensor:
    """Leave in `model` the gradient of the mean loss over all scored tokens of the global batch.

    model: `replicated`. precision: as in `trainers.cell.Cell`. Returns the summed nats of this
    worker's share, detached; the host does not wait for them.
    """
    # DistributedDataParallel averages over workers; a sum is needed.
    scale = world.size / int(batches.scored(batch[1]).sum())
    share = list(batches.share(batch, world.rank, world.size, micro_tokens))
    total = torch.zeros((), device=world.device)
    for number, (inputs, targets) in enumerate(share, start=1):
        # Gradients are exchanged once, with the last micro-batch.
        alone = world.size > 1 and number < len(share)
        with model.no_sync() if alone else contextlib.nullcontext():  # type: ignore[operator]
            nats = summed_nats(model, inputs, targets, batches.bos_id, world.device, precision)
            (nats * scale).backward()
        total += nats.detach()
    return total


def summed_nats(
    model: nn.Module,
    inputs: np.ndarray,
    targets: np.ndarray,
    unscored: int,
    device: torch.device,
    precision: str,
) -> Tensor:
    """inputs, targets: (rows, time) uint16. unscored: the token that is not scored as a target."""
    tokens, goals = _moved(inputs, device), _moved(targets, device)
    goals.masked_fill_(goals == unscored, IGNORED)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(tokens)
    return F.cross_entropy(logits.float().flatten(0, 1), goals.flatten(), reduction="sum")


def _moved(tokens: np.ndarray, device: torch.device) -> Tensor:
    """tokens: uint16 -> int64 on the device.

    A card copies from pinned memory while the host goes on to the next batch; from other memory the
    host would have to wait.
    """
    found = torch.from_numpy(tokens)
    if device.type == "cuda":
        found = found.pin_memory()
    return found.to(device, non_blocking=True).long()
