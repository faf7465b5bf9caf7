"""Muon (Jordan et al. 2024) for hidden matrices, with AdamW for all else, as one optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from trainers.groups import Member


class MuonAndAdamW:
    """`torch.optim.Muon`, which makes an update of a matrix orthogonal, and the AdamW given.

    A matrix that is fused of several, such as that of queries, keys and values, is updated part by
    part: what is orthogonal as a whole is not so in its parts. The model keeps its parameters,
    whose memory is written to in place; they may be loaded anew, but not replaced.
    """

    def __init__(
        self, matrices: Sequence[Member], rest: torch.optim.AdamW, *, lr: float, weight_decay: float
    ) -> None:
        self._cut = [(each.weight, each.weight.detach().chunk(each.fused)) for each in matrices]
        parts = [part for _, parts in self._cut for part in parts]
        group = {"params": parts, "lr": lr, "base_lr": lr, "weight_decay": weight_decay}
        self._muon = torch.optim.Muon([group])
        self._rest = rest

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """That of the hidden matrices first, as of AdamW alone."""
        return [*self._muon.param_groups, *self._rest.param_groups]

    def step(self) -> None:
        for weight, parts in self._cut:
            if weight.grad is not None:
                for part, grad in zip(parts, weight.grad.chunk(len(parts))):
                    part.grad = grad
        self._muon.step()
        # They lie in the memory of the whole gradients, which would be held as long as they are.
        self._muon.zero_grad(set_to_none=True)
        self._rest.step()

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        self._rest.zero_grad(set_to_none)
        for weight, _ in self._cut:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self._muon.state_dict(), "adamw": self._rest.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._muon.load_state_dict(state["muon"])
        self._rest.load_state_dict(state["adamw"])
