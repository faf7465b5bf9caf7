"""Rates follow width and schedule."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers import optim
from trainers.ladder import archs, rung


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("cosine", [0, 0.5, 1, 0.5, 0]),
        ("wsd", [0, 0.5, 1, 1, 0]),
        ("constant", [1, 1, 1, 1, 1]),
    ],
)
def test_schedules(schedule: str, shares: list[float]) -> None:
    follow = optim.SCHEDULES[schedule]
    assert [follow(seen, 1000, 100) for seen in (0, 50, 100, 550, 1000)] == pytest.approx(shares)


@given(
    st.sampled_from(["cosine", "wsd"]),
    st.integers(100, 10**9),
    st.floats(0.02, 0.1),
    st.lists(st.floats(0, 1), min_size=2),
)
def test_a_rate_rises_in_the_warm_up_and_never_after(
    schedule: str, tokens: int, share: float, moments: list[float]
) -> None:
    warmup = share * tokens
    follow = optim.SCHEDULES[schedule]
    after = [follow(warmup + m * (tokens - warmup), tokens, warmup) for m in sorted(moments)]
    before = [follow(m * warmup, tokens, warmup) for m in sorted(moments)]
    assert all(late <= early + 1e-9 for early, late in pairwise(after))
    assert all(late >= early for early, late in pairwise(before[:-1]))
    assert all(0 <= rate <= 1 for rate in before + after)


def test_wsd_falls_in_the_last_fifth_only() -> None:
    assert [optim.wsd(seen, 1000, 100) for seen in (800, 850, 950, 1000)] == pytest.approx(
        [1, 0.5, 1 - 0.75**0.5, 0]
    )


def test_warm_up_grows_with_size_between_bounds() -> None:
    assert optim.warmup_tokens(1_000, 1_000_000) == 20_000
    assert optim.warmup_tokens(50_000, 1_000_000) == 50_000
    assert optim.warmup_tokens(10**9, 1_000_000) == 100_000


def test_the_warm_up_of_a_trunk_grows_with_size_from_forty_batches() -> None:
    assert optim.trunk_warmup_tokens(1_000, 1024) == 40 * 1024
    assert optim.trunk_warmup_tokens(50_000, 1024) == 50_000


@given(
    st.integers(100, 10**9),
    st.integers(100, 10**9),
    st.integers(1, 10**9),
    # Of what lies before the first decay, whose very beginning is a matter of rounding.
    st.floats(0, 0.999),
)
def test_wsd_is_the_same_for_every_budget_until_the_first_decays(
    tokens: int, other: int, warmup: int, moment: float
) -> None:
    seen = moment * (1 - optim.DECAY_SHARE) * min(tokens, other)
    assert optim.wsd(seen, tokens, warmup) == optim.wsd(seen, other, warmup)


def test_rates_follow_width_and_depth() -> None:
    rates = optim.transferred(0.01, width=256, depth=8)
    assert (rates.rest, rates.head, rates.hidden) == pytest.approx((0.01, 0.0025, 0.00125))
    assert optim.transferred(0.01, optim.BASE_WIDTH, optim.BASE_DEPTH) == optim.flat(0.01)


def test_the_rate_of_muon_follows_the_depth_alone() -> None:
    rates = [optim.transferred(0.01, width, 8, muon_lr=0.1) for width in (64, 256)]
    assert [each.hidden for each in rates] == pytest.approx([0.05, 0.05])
    assert [each.head for each in rates] == pytest.approx([0.01, 0.0025])


@pytest.mark.parametrize("arch", archs())
def test_every_parameter_has_its_rate_and_only_matrices_decay(arch: str) -> None:
    model = rung(arch, "300k", 139).build()
    groups = optim.optimizer(model, optim.Rates(1.0, 2.0, 3.0), weight_decay=0.1).param_groups
    found = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert found.keys() == {id(parameter) for parameter in model.parameters()}
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2 or "embedding" in name or "taps" in name:
            assert found[id(parameter)] == (3.0, 0.0), name
        else:
            assert found[id(parameter)] == (2.0 if "head" in name else 1.0, 0.1), name
