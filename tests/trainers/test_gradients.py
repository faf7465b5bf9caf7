"""One gradient for one batch: whatever the workers, and whatever fits in their memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.nn import functional as F

from trainers import gradients
from trainers.batches import Batches
from trainers.gradients import (
    World,
    gradient,
    gradient_that_fits,
    largest_micro_tokens,
    replicated,
)
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


def fit(model: nn.Module, world: World = ALONE) -> int:
    return largest_micro_tokens(
        model, world, windows=8 // world.size, context=32, micro_tokens=16_384
    )


def test_the_micro_batch_is_halved_until_it_fits_and_the_gradient_stays() -> None:
    roomy, cramped, batch = Cramped(10**6), Cramped(100), batches().batch(0)
    assert fit(roomy) == 256
    assert fit(cramped) == 64
    cramped.seen.clear()
    nats = gradient(roomy, batches(), batch, ALONE, 256)
    same = gradient(cramped, batches(), batch, ALONE, 64)
    assert cramped.seen == [64] * 4
    assert same.item() == pytest.approx(nats.item(), rel=1e-6)
    torch.testing.assert_close(flat(cramped), flat(roomy), atol=1e-6, rtol=1e-5)


def test_memory_that_went_after_the_first_step_halves_the_micro_batch_too() -> None:
    roomy, cramped, batch = Cramped(10**6), Cramped(100), batches().batch(0)
    nats = gradient(roomy, batches(), batch, ALONE, 256)
    same, fitted = gradient_that_fits(cramped, batches(), batch, ALONE, 256)
    assert fitted == 64
    assert same.item() == pytest.approx(nats.item(), rel=1e-6)
    torch.testing.assert_close(flat(cramped), flat(roomy), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("most", "workers"), [(31, 1), (100, 2)])
def test_out_of_memory_is_told_where_nothing_can_be_halved(most: int, workers: int) -> None:
    """With several workers, the others wait for this one's gradients."""
    world = World(0, workers, torch.device("cpu"))
    with pytest.raises(torch.OutOfMemoryError, match="tokens at once; take a larger share"):
        gradient_that_fits(Cramped(most), batches(), batches().batch(0), world, 256)


def test_the_first_token_of_a_piece_is_not_scored() -> None:
    model = Cramped(10**6)
    inputs, targets = (torch.from_numpy(part).long() for part in batches().batch(0))
    each = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), reduction="none")
    scored = each[targets.flatten() != 0]
    assert len(scored) < len(each)
    nats = gradient(model, batches(), batches().batch(0), ALONE, 256)
    assert nats.item() == pytest.approx(scored.sum().item(), rel=1e-6)


def test_cells_that_share_a_card_try_its_memory_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, held = Cramped(100), [False]

    @contextlib.contextmanager
    def alone_on(device: torch.device) -> Iterator[None]:
        held[0] = True
        yield
        assert all(parameter.grad is None for parameter in model.parameters())
        held[0] = False

    monkeypatch.setattr(gradients, "alone_on", alone_on)
    model.register_forward_pre_hook(lambda *_: held.append(held[0]))
    assert fit(model) == 64
    assert held[1:] == [True, True, True]


def test_trying_leaves_no_gradient() -> None:
    model = Cramped(100)
    fit(model)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_window_that_does_not_fit_ends_with_a_reason() -> None:
    with pytest.raises(MemoryError, match="one window of 32 tokens does not fit in memory"):
        fit(Cramped(31))


def work(rank: int, rendezvous: str, most: list[int], sender: Connection) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=len(most))
    model = Cramped(most[rank])
    world = World(rank, len(most), torch.device("cpu"))
    micro_tokens = fit(model, world)
    one_of_two = replicated(model, world)
    for step in (1, 0):
        model.zero_grad()
        gradient(one_of_two, batches(), batches().batch(step), world, micro_tokens)
    sender.send((micro_tokens, flat(model).numpy()))
    distributed.destroy_process_group()


@pytest.mark.parametrize("most", [[10**6, 10**6], [10**6, 64]])
def test_two_workers_agree_with_one_also_when_one_of_them_has_less_memory(
    tmp_path: Path, most: list[int]
) -> None:
    alone = Cramped(10**6)
    gradient(alone, batches(), batches().batch(0), ALONE, micro_tokens=256)
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
    assert [micro_tokens for micro_tokens, _ in found] == [min(128, *most)] * 2
    np.testing.assert_array_equal(found[0][1], found[1][1])
    for _, summed in found:
        np.testing.assert_allclose(summed, flat(alone).numpy(), atol=1e-6, rtol=1e-5)
