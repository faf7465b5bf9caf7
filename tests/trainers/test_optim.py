"""Rates follow width and schedule."""

from __future__ import annotations

import pytest

from trainers import optim
from trainers.ladder import archs, rung


def test_the_schedule_rises_and_ends_at_nothing() -> None:
    shares = [optim.cosine(seen, 1000, 100) for seen in (0, 50, 100, 550, 1000)]
    assert shares == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_warm_up_grows_with_size_between_bounds() -> None:
    assert optim.warmup_tokens(1_000, 1_000_000) == 20_000
    assert optim.warmup_tokens(50_000, 1_000_000) == 50_000
    assert optim.warmup_tokens(10**9, 1_000_000) == 100_000


@pytest.mark.parametrize("arch", archs())
def test_only_matrices_decay_and_only_they_are_scaled_by_width(arch: str) -> None:
    model = rung(arch, "300k", 139).build()
    matrices, other = optim.optimizer(model, 0.01, width=128, weight_decay=0.1).param_groups
    assert matrices["lr"] == pytest.approx(0.005)
    assert other["lr"] == pytest.approx(0.01)
    assert (matrices["weight_decay"], other["weight_decay"]) == (0.1, 0.0)
    assert all(parameter.dim() == 2 for parameter in matrices["params"])
    assert any(parameter is model.embedding.weight for parameter in other["params"])
    count = sum(len(group["params"]) for group in (matrices, other))
    assert count == len(list(model.parameters()))
