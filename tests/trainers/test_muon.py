"""Muon updates each hidden matrix by itself, also where several are fused; AdamW does the rest."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from trainers import optim
from trainers.groups import members
from trainers.ladder import archs, rung

RATES = optim.Rates(hidden=0.5, head=0.01, rest=0.01)
DECAY = 0.1


def with_gradients(arch: str = "transformer") -> Any:
    torch.manual_seed(0)
    model = rung(arch, "50k", 139).build()
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model


def stepped(model: Any, kind: str) -> dict[str, Tensor]:
    """By how much each parameter moved in one step, but for the decay of weights."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optim.optimizer(model, RATES, 0.0, kind).step()
    return {name: parameter.detach() - before[name] for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("arch", archs())
def test_the_update_of_each_matrix_is_orthogonal(arch: str) -> None:
    """As far as five Newton-Schulz steps bring it: singular values from about .7 to 1.2, but for
    those that were next to nothing."""
    model = with_gradients(arch)
    moved = stepped(model, "muon")
    for each in members(model)["hidden"]:
        for part in moved[each.name].chunk(each.fused):
            height, width = part.shape
            spread = torch.linalg.svdvals(part / RATES.hidden) / max(1, height / width) ** 0.5
            assert 0.6 < spread.quantile(0.2) < spread.max() < 1.3, each.name


def test_parts_of_a_matrix_are_updated_as_matrices_of_their_own_would_be() -> None:
    model = with_gradients()
    qkv = next(each for each in members(model)["hidden"] if each.fused == 3).weight
    assert qkv.grad is not None
    alone = [part.clone() for part in qkv.detach().chunk(3)]
    for part, grad in zip(alone, qkv.grad.chunk(3)):
        part.grad = grad.clone()
    optim.optimizer(model, RATES, DECAY, "muon").step()
    torch.optim.Muon(alone, lr=RATES.hidden, weight_decay=DECAY).step()
    assert torch.equal(qkv, torch.cat(alone))


@pytest.mark.parametrize("arch", archs())
def test_all_else_moves_as_by_adamw(arch: str) -> None:
    by_adamw, by_muon = (stepped(with_gradients(arch), kind) for kind in optim.OPTIMIZERS)
    hidden = {each.name for each in members(with_gradients(arch))["hidden"]}
    for name, moved in by_muon.items():
        assert torch.equal(moved, by_adamw[name]) == (name not in hidden), name


def test_what_it_keeps_is_one_number_of_a_matrix_and_two_of_the_rest() -> None:
    model = with_gradients()
    optimizer = optim.optimizer(model, RATES, DECAY, "muon")
    optimizer.step()
    found = members(model)
    hidden, rest = (
        sum(each.weight.numel() for group in groups for each in found[group])
        for groups in (["hidden"], ["head", "rest"])
    )
    kept = [
        value.numel()
        for state in optimizer.state_dict().values()
        for numbers in state["state"].values()
        for value in numbers.values()
        if value.dim()
    ]
    assert sum(kept) == hidden + 2 * rest == optim.moments(model, "muon")


def test_no_gradient_is_held_once_it_is_dropped() -> None:
    model = with_gradients()
    optimizer = optim.optimizer(model, RATES, DECAY, "muon")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    assert all(parameter.grad is None for parameter in model.parameters())
    held = [part.grad for group in optimizer.param_groups for part in group["params"]]
    assert held
    assert all(grad is None for grad in held)


def test_the_rate_of_a_schedule_reaches_both() -> None:
    optimizer = optim.optimizer(with_gradients(), RATES, DECAY, "muon")
    optim.set_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.005, 0.005]


def test_what_was_kept_can_be_loaded_and_goes_on() -> None:
    model, other = with_gradients(), with_gradients()
    first, second = (optim.optimizer(each, RATES, DECAY, "muon") for each in (model, other))
    first.step()
    other.load_state_dict(model.state_dict())
    assert not same(model, with_gradients())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    first.step()
    second.step()
    assert same(model, other)


def same(model: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters()))
