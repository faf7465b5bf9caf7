"""A model's groups name each of its parameters once, and each matrix that is fused with others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from trainers.groups import Groups, members
from trainers.ladder import archs, rung

GROUPS = Groups(hidden={"layer.weight": 2}, head=["head.weight"], rest=["*.bias"])


class Small(nn.Module):
    def __init__(self, groups: Groups = GROUPS) -> None:
        super().__init__()
        self.groups = groups
        self.layer, self.head = nn.Linear(3, 4), nn.Linear(4, 5)


def test_parameters_are_found_by_their_names() -> None:
    model = Small()
    found = members(model)
    assert [each.weight for each in found["hidden"]] == [model.layer.weight]
    assert [each.fused for each in found["hidden"]] == [2]
    assert [each.weight for each in found["head"]] == [model.head.weight]
    assert [each.name for each in found["rest"]] == ["layer.bias", "head.bias"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rest": ["head.bias"]}, "layer.bias is named by no group; one name"),
        (
            {"rest": ["*.bias", "layer.*"]},
            r"layer.weight is named by 'layer.weight' and 'layer.\*'",
        ),
        ({"hidden": {"layer.weight": 3}}, r"layer.weight \(4, 3\) cannot be cut into 3 matrices"),
    ],
)
def test_what_is_in_no_group_or_in_two_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        members(Small(replace(GROUPS, **changed)))


@pytest.mark.parametrize("arch", archs())
def test_every_architecture_names_all_its_parameters(arch: str) -> None:
    model = rung(arch, "1M", 139).build()
    found = members(model)
    count = sum(each.weight.numel() for group in found.values() for each in group)
    assert count == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("arch", ["transformer", "gpt", "lstm"])
def test_groups_are_those_that_names_and_dimensions_gave_before(arch: str) -> None:
    """In the same order: checkpoints know a parameter by its number."""
    model = rung(arch, "300k", 139).build()
    before: dict[str, list[str]] = {"hidden": [], "head": [], "rest": []}
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() >= 2 and not name.startswith("embedding")
        before["rest" if not is_matrix else "head" if name.startswith("head") else "hidden"].append(
            name
        )
    assert {
        group: [each.name for each in found] for group, found in members(model).items()
    } == before


@pytest.mark.parametrize(("arch", "fused"), [("transformer", 3), ("gpt", 3), ("lstm", 4)])
def test_fused_matrices_are_cut_apart(arch: str, fused: int) -> None:
    assert members(rung(arch, "300k", 139).build())["hidden"][0].fused == fused
