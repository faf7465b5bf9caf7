"""The fastest kernels, told by taking turns."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from trainers import timing
from trainers.attention import CausalAttention
from trainers.cell import Cell
from trainers.chosen_kernels import Kernels
from trainers.ladder import archs
from trainers.linear import PRODUCTS, Linear
from trainers.timing import candidates, compiling_pays, fastest, fault, in_turns


@pytest.fixture
def large(cell: Cell) -> Cell:
    """Large enough for every choice to make a difference."""
    return replace(cell, size="120k", vocab_size=139, context=512, batch_tokens=2048, tokens=2048)


def test_the_fastest_of_those_that_take_turns_is_found_beside_other_work() -> None:
    calls: list[str] = []

    def contender(name: str, seconds: float) -> None:
        calls.append(name)
        time.sleep(seconds)

    steps = {"slow": partial(contender, "slow", 0.004), "fast": partial(contender, "fast", 0.001)}
    found = in_turns(steps)
    assert min(found, key=found.__getitem__) == "fast"
    assert calls[:4] == ["fast", "slow", "slow", "fast"]
    assert calls.count("fast") == calls.count("slow") == timing.MOST + 1


def test_what_makes_no_difference_is_not_measured(cell: Cell, large: Cell) -> None:
    def there(cell: Cell, rows: int = 4) -> set[str]:
        return set(candidates(cell.rung.build(), cell, rows))

    assert there(large) == {"product", "attention"}
    assert there(cell) == set()
    assert there(replace(large, precision="bf16")) == {"attention"}
    assert there(replace(large, context=128), rows=16) == {"product"}
    assert there(replace(large, arch="lstm")) <= {"product"}
    # A gigabyte of weights of attention would have to be kept.
    assert there(large, rows=1000) == {"product"}


@pytest.mark.parametrize("arch", archs())
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_measuring_leaves_the_model_as_it_was(large: Cell, arch: str, precision: str) -> None:
    large = replace(large, arch=arch, precision=precision)
    model = large.rung.build()
    before = [parameter.clone() for parameter in model.parameters()]
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert isinstance(fastest(model, large, 4), Kernels)
    assert torch.equal(torch.rand(1), expected)
    for parameter, was in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, was)
        assert parameter.grad is None


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("attention", ["sdpa", "blocks"])
def test_each_is_chosen_where_it_is_the_fastest(
    large: Cell, product: str, attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = large.rung.build()

    def seconds(part: nn.Module) -> float:
        if isinstance(part, Linear):
            return 0 if part.product == product else 0.001
        if isinstance(part, CausalAttention):
            return 0 if part.blocks == (attention == "blocks") else 0.001
        return 0

    monkeypatch.setattr(
        timing, "step", lambda *_: lambda: time.sleep(sum(map(seconds, model.modules())))
    )
    found = fastest(model, large, 4)
    assert (found.product, found.attention) == (product, attention)
    assert found.compiled is None


class Compiled(nn.Module):
    """As a compiled model: the same, after a while, as fast as it says."""

    def __init__(self, model: nn.Module, seconds: float) -> None:
        super().__init__()
        self.model, self.seconds = model, seconds

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return self.model(tokens)


@pytest.mark.parametrize(("seconds", "pays"), [(0.0, True), (0.05, False)])
def test_a_model_is_compiled_if_it_is_faster_so(cell: Cell, seconds: float, pays: bool) -> None:
    slow, fast = Compiled(cell.rung.build(), 0.02), cell.rung.build()
    made = Compiled(fast, seconds)
    assert compiling_pays(slow, lambda: made, cell, 2, steps=10**6) is pays


def test_compiling_is_not_tried_for_a_few_steps(cell: Cell) -> None:
    def never() -> nn.Module:
        raise AssertionError

    assert compiling_pays(cell.rung.build(), never, cell, 2, steps=10) is None


def test_what_cannot_be_compiled_is_said_in_a_line(
    cell: Cell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where there is no C++ compiler."""
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    torch.compiler.reset()
    model: Any = torch.compile(cell.rung.build())
    with torch._inductor.utils.fresh_inductor_cache():
        assert fault(model, cell, 2)
    # PyTorch may say more.
    begins = f"{cell.name} is trained without being compiled: "
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith(begins)]
    assert "no-such-compiler" in line or "C++" in line
    assert compiling_pays(cell.rung.build(), lambda: model, cell, 2, steps=10**6) is False
