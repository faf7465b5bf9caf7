"""The coordinate check (Yang et al. 2022, appendix D.1): what a unit computes, and how far a few
steps move it, does not depend on the width or on the depth; and without the rule it would."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trainers import optim
from trainers.ladder import archs, load_arch, rung

VOCAB = 64
WIDTHS = (32, 64, 128, 256)
DEPTHS = (2, 4, 8, 16)
STEPS = 8


def shape(arch: str, width: int, depth: int) -> Any:
    """A shape of that width and depth, other things in proportion."""
    found = rung(arch, "50k", VOCAB).shape
    in_proportion = {
        "d_model": width,
        "d_ff": 3 * width,
        "n_heads": width // 16,
        "d_hidden": width,
        "d_embedding": width,
        "n_layers": depth,
    }
    names = {field.name for field in fields(found)}
    return replace(found, **{k: v for k, v in in_proportion.items() if k in names})


def movement(arch: str, width: int, depth: int, *, flat: bool = False) -> np.ndarray:
    """Root mean square change over STEPS steps of the last layer's output and of the logits."""
    torch.manual_seed(0)
    module, size = load_arch(arch), shape(arch, width, depth)
    model = module.Model(size, VOCAB)
    lr = module.LR / 4
    rates = optim.flat(lr) if flat else optim.transferred(lr, size.width, size.depth)
    optimizer = optim.optimizer(model, rates, weight_decay=0.0)
    seen: list[torch.Tensor] = []
    getattr(model, "norm", model.head).register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].detach())
    )
    generator = np.random.default_rng(0)
    tokens = torch.from_numpy(generator.integers(VOCAB, size=(8, 33)))
    first = model(tokens[:, :-1]).detach()
    for _ in range(STEPS):
        logits = model(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    last = model(tokens[:, :-1]).detach()
    changes = (seen[-1] - seen[0], last - first)
    return np.array([change.square().mean().sqrt().item() for change in changes])


def growth(changes: list[np.ndarray]) -> float:
    """The largest change of any quantity over the range, as a factor."""
    table = np.stack(changes)
    return float((table.max(axis=0) / table.min(axis=0)).max())


@pytest.mark.parametrize("arch", archs())
def test_what_a_unit_computes_moves_alike_at_every_width(arch: str) -> None:
    assert growth([movement(arch, width, 2) for width in WIDTHS]) < 2


@pytest.mark.parametrize("arch", archs())
def test_at_one_rate_for_all_it_would_not(arch: str) -> None:
    assert growth([movement(arch, width, 2, flat=True) for width in (32, 512)]) > 2


@pytest.mark.parametrize("arch", [arch for arch in archs() if arch != "lstm"])
def test_what_a_unit_computes_moves_alike_at_every_depth(arch: str) -> None:
    assert growth([movement(arch, 64, depth) for depth in DEPTHS]) < 2
