"""The coordinate check (Yang et al. 2022, appendix D.1): what a unit computes, and how far a few
steps move it, does not depend on the width or on the depth; and without the rule it would."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trainers import optim
from trainers.groups import members
from trainers.ladder import archs, load_arch, rung

VOCAB = 64
WIDTHS = (32, 64, 128, 256)
DEPTHS = (2, 4, 8, 16)
STEPS = 8


def shape(arch: str, width: int, depth: int) -> Any:
    """A shape of that width and depth, other things in proportion."""
    found = rung(arch, "50k", VOCAB).shape
    proportion = width / found.width
    grown = {
        field.name: depth
        if field.name == "n_layers"
        else round(proportion * getattr(found, field.name))
        for field in fields(found)
        if field.name.startswith("d_") or field.name in ("n_heads", "n_layers")
    }
    made = replace(found, **grown)
    assert made.width == width, (
        f"no {arch} of width {width}: what grows with the width is named d_... or n_heads"
    )
    return made


def movement(
    arch: str, width: int, depth: int, *, flat: bool = False, kind: str = "adamw"
) -> np.ndarray:
    """Root mean square change, over STEPS steps, of what each part of the model takes in that is
    called once, such as its last norm and its head, and of the logits."""
    torch.manual_seed(0)
    module, size = load_arch(arch), shape(arch, width, depth)
    model = module.Model(size, VOCAB)
    lr = module.LR / 4
    muon_lr = optim.MUON_LR / 4 if kind == "muon" else None
    rates = optim.flat(lr) if flat else optim.transferred(lr, size.width, size.depth, muon_lr)
    optimizer = optim.optimizer(model, rates, weight_decay=0.0, kind=kind)
    taken_in: dict[str, list[torch.Tensor]] = defaultdict(list)
    for name, part in model.named_children():
        if not name.startswith("embedding"):
            part.register_forward_pre_hook(
                lambda _, inputs, name=name: taken_in[name].append(inputs[0].detach())
            )
    generator = np.random.default_rng(0)
    tokens = torch.from_numpy(generator.integers(VOCAB, size=(8, 33)))
    first = model(tokens[:, :-1]).detach()
    for _ in range(STEPS):
        logits = model(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    last = model(tokens[:, :-1]).detach()
    changes = [each[-1] - each[0] for each in taken_in.values()] + [last - first]
    return np.array([change.square().mean().sqrt().item() for change in changes])


def growth(changes: list[np.ndarray]) -> float:
    """The largest change of any quantity over the range, as a factor."""
    table = np.stack(changes)
    return float((table.max(axis=0) / table.min(axis=0)).max())


@pytest.mark.parametrize("arch", archs())
def test_what_has_the_rate_of_a_matrix_takes_in_more_as_the_width_grows(arch: str) -> None:
    with torch.device("meta"):
        narrow, wide = (load_arch(arch).Model(shape(arch, width, 2), VOCAB) for width in (64, 256))
    wider = dict(wide.named_parameters())
    for each in (found := members(narrow))["hidden"] + found["head"]:
        inputs = [weight[0].numel() for weight in (each.weight, wider[each.name])]
        assert inputs[1] / inputs[0] == pytest.approx(4, rel=0.1), (
            f"{each.name} takes in {inputs[0]} numbers at width 64, {inputs[1]} at 256, so its "
            "rate must not fall with the width; name it in the rest of the model's groups"
        )


@pytest.mark.parametrize("arch", archs())
def test_what_a_unit_computes_moves_alike_at_every_width(arch: str) -> None:
    assert growth([movement(arch, width, 2) for width in WIDTHS]) < 2


@pytest.mark.parametrize("arch", archs())
def test_by_muon_it_does_so_too(arch: str) -> None:
    assert growth([movement(arch, width, 2, kind="muon") for width in WIDTHS]) < 2


@pytest.mark.parametrize("arch", archs())
def test_at_one_rate_for_all_it_would_not(arch: str) -> None:
    assert growth([movement(arch, width, 2, flat=True) for width in (32, 512)]) > 2


@pytest.mark.parametrize("arch", [arch for arch in archs() if shape(arch, 64, 8).depth == 8])
def test_what_a_unit_computes_moves_alike_at_every_depth(arch: str) -> None:
    assert growth([movement(arch, 64, depth) for depth in DEPTHS]) < 2
