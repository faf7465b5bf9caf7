"""Which parameters of a model take which rate: the model names them, here it is held to all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Groups:
    """Names of parameters, with wildcards such as `*.qkv.weight`."""

    hidden: Mapping[str, int]
    """Matrices whose inputs grow with the width: they decay, and their rate falls with the width.
    With each, how many matrices lie in it one below the other, as q, k and v do in one of 3."""
    head: Sequence[str]
    """What projects to the vocabulary, unless it is tied to the embedding: it decays too, and its
    rate does not depend on the depth."""
    rest: Sequence[str]
    """Embeddings, gains, biases, and what has few inputs at every width, as a kernel by channel."""

    def names(self) -> Iterator[tuple[str, str, int]]:
        """Group, name with wildcards, matrices in it."""
        yield from (("hidden", name, fused) for name, fused in self.hidden.items())
        yield from (("head", name, 1) for name in self.head)
        yield from (("rest", name, 1) for name in self.rest)


@dataclass(frozen=True)
class Member:
    """A parameter in its group."""

    name: str
    weight: nn.Parameter
    fused: int
    """How many matrices lie in it."""


def members(model: Any) -> dict[str, list[Member]]:
    """The parameters of a model by group, each in the model's own order.

    model: with `groups`, its `Groups`. Raises ValueError if a parameter is in no group or is named
    twice, or if one cannot be cut into its matrices.
    """
    found: dict[str, list[Member]] = {"hidden": [], "head": [], "rest": []}
    names = list(model.groups.names())
    for name, weight in model.named_parameters():
        fitting = [each for each in names if fnmatchcase(name, each[1])]
        if len(fitting) != 1:
            said = " and ".join(repr(each[1]) for each in fitting) or "no group"
            raise ValueError(f"{name} is named by {said}; one name in `groups` has to fit it")
        (group, _, fused) = fitting[0]
        if group == "hidden" and (weight.dim() != 2 or len(weight) % fused):
            raise ValueError(f"{name} {tuple(weight.shape)} cannot be cut into {fused} matrices")
        found[group].append(Member(name, weight, fused))
    return found
