"""One gradient for one batch: whatever the workers, and whatever fits in their memory."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing, nn

from trainers.batches import Batches
from trainers.gradients import World, gradient
from trainers.ladder import rung

ALONE = World(0, 1, torch.device("cpu"))


class Cramped(nn.Module):
    """A model that runs out of memory above so many tokens at once."""

    def __init__(self, most: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = rung("lstm", "20k", 50).build()
        nn.init.normal_(self.inner.head.weight)
        self.most = most
        self.seen: list[int] = []

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if tokens.numel() > self.most:
            raise torch.OutOfMemoryError("out of memory")
        self.seen.append(tokens.numel())
        return self.inner(tokens)


def batches() -> Batches:
    tokens = np.random.default_rng(0).integers(0, 50, size=5000).astype(np.uint16)
    return Batches(tokens, bos_id=0, context=32, windows_per_batch=8, seed=0)


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_gradient() -> None:
    roomy, cramped, batch = Cramped(10**6), Cramped(100), batches().batch(0)
    nats, fitting = gradient(roomy, batches(), batch, ALONE, micro_tokens=16_384)
    assert fitting == 256
    same, fitting = gradient(cramped, batches(), batch, ALONE, micro_tokens=16_384)
    assert fitting == 64
    assert cramped.seen == [64] * 4
    assert same.item() == pytest.approx(nats.item(), rel=1e-6)
    torch.testing.assert_close(flat(cramped), flat(roomy), atol=1e-6, rtol=1e-5)


def test_a_window_that_does_not_fit_ends_with_a_reason() -> None:
    with pytest.raises(MemoryError, match="one window of 32 tokens does not fit in memory"):
        gradient(Cramped(31), batches(), batches().batch(0), ALONE, micro_tokens=16_384)


def work(rank: int, rendezvous: str, most: list[int], sender: Connection) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=len(most))
    model = Cramped(most[rank])
    world = World(rank, len(most), torch.device("cpu"))
    _, fitting = gradient(model, batches(), batches().batch(0), world, micro_tokens=16_384)
    sender.send((fitting, flat(model).numpy()))
    distributed.destroy_process_group()


@pytest.mark.parametrize("most", [[10**6, 10**6], [10**6, 64]])
def test_two_workers_agree_with_one_also_when_one_of_them_runs_out(
    tmp_path: Path, most: list[int]
) -> None:
    alone = Cramped(10**6)
    gradient(alone, batches(), batches().batch(0), ALONE, micro_tokens=16_384)
    spawn = multiprocessing.get_context("spawn")
    receivers, workers = [], []
    for rank in range(2):
        receiver, sender = spawn.Pipe(duplex=False)
        workers.append(
            spawn.Process(target=work, args=(rank, str(tmp_path / "meet"), most, sender))
        )
        workers[-1].start()
        receivers.append(receiver)
    found = [receiver.recv() for receiver in receivers]
    for worker in workers:
        worker.join()
    assert [fitting for fitting, _ in found] == [min(256, *most)] * 2
    for _, summed in found:
        np.testing.assert_allclose(summed, flat(alone).numpy(), atol=1e-6, rtol=1e-5)
