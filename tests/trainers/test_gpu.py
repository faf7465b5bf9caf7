"""What a card must do as a CPU does: `python -m pytest -m gpu`, on a machine that has one.

With CRESCENDO_GPU=cpu those that a CPU can run do so there, to try the tests themselves.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from harness.peak_memory import write_data
from tests.trainers.test_loop import run, weights
from trainers import optim
from trainers.batches import Batches
from trainers.cell import Cell
from trainers.gradients import World, gradient, gradient_that_fits, largest_micro_tokens
from trainers.ladder import archs
from trainers.memory import peak_bytes

pytestmark = pytest.mark.gpu

# Read when a card is first used; without it cuBLAS may add in any order.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

LOSS_OFF = {"fp32": 1e-5, "bf16": 5e-3}
GRADIENT_OFF = {"fp32": 1e-4, "bf16": 5e-2}
"""Relative errors that a precision may have."""

CELL_OF_GPU: dict[str, Any] = {
    "size": "300k",
    "context": 256,
    "batch_tokens": 4096,
    "vocab_size": 139,
}


@pytest.fixture
def device() -> torch.device:
    """A card, or what stands in for it."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if os.environ.get("CRESCENDO_GPU") == "cpu":
        return torch.device("cpu")
    pytest.skip("needs an NVIDIA card; CRESCENDO_GPU=cpu lets the CPU stand in")


@pytest.fixture
def card() -> Iterator[torch.device]:
    """A card, with all of its memory before and after."""
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA card")
    found = torch.device("cuda")
    torch.cuda.empty_cache()
    yield found
    torch.cuda.set_per_process_memory_fraction(1.0, found)
    torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def exact() -> Iterator[None]:
    """Kernels that give the same bits each time."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    write_data(folder)
    return folder


def some_batches(cell: Cell) -> Batches:
    tokens = np.random.default_rng(0).integers(0, cell.vocab_size, 50_000).astype(np.uint16)
    return Batches(tokens, 0, cell.context, cell.batch_tokens // cell.context, seed=0)


def model_of(cell: Cell) -> torch.nn.Module:
    """With a head that says something, for at first it is silent and passes no gradient on."""
    torch.manual_seed(0)
    model = cell.rung.build()
    torch.nn.init.normal_(model.head.weight, std=model.head.weight.shape[1] ** -0.5)
    return model


def grads(model: torch.nn.Module) -> torch.Tensor:
    found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat(found).double().cpu()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("arch", archs())
def test_losses_and_gradients_are_those_of_double_precision(
    cell: Cell,
    device: torch.device,
    arch: str,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # By default cuDNN's LSTM rounds fp32 to TF32, as other products do only once they are told to.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    cell = replace(cell, arch=arch, tokens=4096, **CELL_OF_GPU)
    model, batches = model_of(cell), some_batches(cell)
    exactly = copy.deepcopy(model).double()
    inputs, targets = (torch.from_numpy(part).long() for part in batches.batch(0))
    targets[targets == 0] = -100
    loss = F.cross_entropy(exactly(inputs).flatten(0, 1), targets.flatten())
    loss.backward()
    scored = int((targets != -100).sum())
    model.to(device)
    nats = gradient(model, batches, batches.batch(0), World(0, 1, device), 4096, precision)
    assert nats.dtype == torch.float32
    assert nats.item() / scored == pytest.approx(loss.item(), rel=LOSS_OFF[precision])
    off = (grads(model) - grads(exactly)).norm() / grads(exactly).norm()
    assert off < GRADIENT_OFF[precision]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("arch", archs())
def test_a_resumed_cell_equals_an_undisturbed_one_bit_for_bit(
    cell: Cell, packed: Path, device: torch.device, exact: None, arch: str, precision: str
) -> None:
    cell, world = replace(cell, arch=arch, precision=precision), World(0, 1, device)
    whole, _, last = run(cell, packed, world=world)
    _, _, half = run(cell, packed, world=world, stop_after=17)
    resumed, _, last_resumed = run(cell, packed, world=world, state=half)
    assert torch.equal(weights(last), weights(last_resumed))
    assert resumed["val_loss"] == whole["val_loss"]


@pytest.mark.parametrize("arch", archs())
def test_where_memory_ends_the_micro_batch_is_halved(
    cell: Cell, card: torch.device, arch: str
) -> None:
    cell = replace(cell, arch=arch, tokens=65_536, **CELL_OF_GPU | {"batch_tokens": 65_536})
    model, world, batches = model_of(cell).to(card), World(0, 1, card), some_batches(cell)
    roomy, _ = gradient_that_fits(model, batches, batches.batch(0), world, 65_536)
    model.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()
    enough = peak_bytes(cell, 16_384, 1) / torch.cuda.get_device_properties(card).total_memory
    torch.cuda.set_per_process_memory_fraction(1.3 * enough, card)
    assert 256 <= largest_micro_tokens(model, world, 256, 256, 65_536) < 65_536
    tight, fitted = gradient_that_fits(model, batches, batches.batch(0), world, 65_536)
    assert fitted < 65_536
    assert tight.item() == pytest.approx(roomy.item(), rel=1e-4)


@pytest.mark.parametrize("arch", archs())
def test_the_host_waits_for_no_step(cell: Cell, card: torch.device, arch: str) -> None:
    cell = replace(cell, arch=arch, tokens=4096, **CELL_OF_GPU)
    model, world, batches = model_of(cell).to(card), World(0, 1, card), some_batches(cell)
    optimizer = optim.optimizer(model, cell.peak_rates, cell.weight_decay)
    nats = torch.zeros((), device=card)
    for step in range(4):
        # The first makes the optimizer's moments and the kernels' workspaces.
        torch.cuda.set_sync_debug_mode("error" if step else "default")
        nats += gradient(model, batches, batches.batch(step), world, 4096)
        torch.nn.utils.clip_grad_norm_(model.parameters(), cell.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    torch.cuda.set_sync_debug_mode("default")
    assert nats.item() > 0


@pytest.mark.parametrize("arch", archs())
def test_the_peak_is_within_fifteen_percent_of_the_formula(
    cell: Cell, data: Path, card: torch.device, arch: str
) -> None:
    cell = replace(cell, arch=arch, tokens=8192, **CELL_OF_GPU)
    torch.cuda.reset_peak_memory_stats(card)
    run(cell, data, world=World(0, 1, card), micro_tokens=4096)
    peak = torch.cuda.max_memory_allocated(card)
    assert peak == pytest.approx(peak_bytes(cell, 4096, world=1), rel=0.15)
