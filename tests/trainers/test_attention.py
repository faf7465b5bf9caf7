"""Attention in blocks is PyTorch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trainers.attention import BLOCK, CausalAttention, kept_numbers


def attended(blocks: bool, inputs: list[Tensor], upstream: Tensor) -> list[Tensor]:
    """What comes out, and the gradients of queries, keys and values."""
    attention = CausalAttention()
    attention.blocks = blocks
    q, k, v = (each.detach().clone().requires_grad_() for each in inputs)
    found = attention(q, k, v)
    return [found.detach(), *torch.autograd.grad(found, (q, k, v), upstream)]


def drawn(batch: int, heads: int, time: int, width: int) -> tuple[list[Tensor], Tensor]:
    """Laid out as models do: heads beside each other in memory."""
    torch.manual_seed(time)
    four = [torch.randn(batch, time, heads, width).transpose(1, 2) for _ in range(4)]
    return four[:3], four[3]


@given(
    st.integers(1, 3), st.integers(1, 5), st.integers(1, 4 * BLOCK + 1), st.sampled_from([4, 24])
)
def test_blocks_give_what_pytorch_gives(batch: int, heads: int, time: int, width: int) -> None:
    inputs, upstream = drawn(batch, heads, time, width)
    ours, theirs = (attended(blocks, inputs, upstream) for blocks in (True, False))
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def test_in_fp64_they_agree_to_its_rounding() -> None:
    inputs, upstream = drawn(2, 3, 2 * BLOCK + 3, 8)
    doubles = [each.double().requires_grad_() for each in inputs]
    found = torch.ops.crescendo.attend(*doubles)[0]
    gradients = torch.autograd.grad(found, doubles, upstream.double())
    # Which PyTorch computes.
    exact = attended(True, [each.detach() for each in doubles], upstream.double())
    for one, other in zip([found, *gradients], exact, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)


def test_scores_of_any_size_are_borne() -> None:
    inputs, upstream = drawn(1, 1, 3 * BLOCK, 4)
    ours = attended(True, [1e4 * inputs[0], *inputs[1:]], upstream)
    assert all(each.isfinite().all() for each in ours)


def test_no_position_sees_a_later_one() -> None:
    inputs, upstream = drawn(1, 2, 3 * BLOCK, 4)
    before = attended(True, inputs, upstream)[0]
    for each in inputs:
        each[:, :, 100:] = 7.0
    assert torch.equal(attended(True, inputs, upstream)[0][:, :, :100], before[:, :, :100])


def test_the_same_is_computed_each_time() -> None:
    inputs, upstream = drawn(3, 3, 200, 24)
    for one, other in zip(*(attended(True, inputs, upstream) for _ in range(2)), strict=True):
        assert torch.equal(one, other)


def test_in_bf16_they_are_as_exact_as_pytorch_s() -> None:
    inputs, upstream = drawn(2, 3, 300, 24)
    halves = [each.bfloat16() for each in inputs]
    exact = attended(False, [each.double() for each in halves], upstream.bfloat16().double())
    for ours, theirs, wanted in zip(
        *(attended(blocks, halves, upstream.bfloat16()) for blocks in (True, False)),
        exact,
        strict=True,
    ):
        assert ours.dtype == torch.bfloat16
        assert (ours - wanted).norm() < 2 * (theirs - wanted).norm()


def test_under_autocast_all_is_bf16_as_pytorch_has_it() -> None:
    """Queries and keys come in fp32, having been rotated, and values in bf16."""
    inputs, upstream = drawn(2, 3, 300, 24)
    mixed = [*inputs[:2], inputs[2].bfloat16()]
    with torch.autocast("cpu", torch.bfloat16):
        found, theirs = (attended(blocks, mixed, upstream.bfloat16()) for blocks in (True, False))
    assert [each.dtype for each in found] == [each.dtype for each in theirs]
    for one, other in zip(found, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=0.1, rtol=0.1)


def test_other_number_formats_are_pytorch_s() -> None:
    inputs, upstream = drawn(1, 2, 200, 8)
    doubles, above = [each.double() for each in inputs], upstream.double()
    pairs = zip(attended(True, doubles, above), attended(False, doubles, above), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_what_is_kept_is_about_half_of_all_weights() -> None:
    _, kept = torch.ops.crescendo.attend(*drawn(2, 3, 512, 8)[0])
    assert kept.numel() == kept_numbers(2, 3, 512)
    assert 0.5 < kept_numbers(2, 3, 512) / (2 * 3 * 512**2) < 0.6


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("time", [BLOCK, 3 * BLOCK + 5])
def test_a_compiler_takes_it_as_it_is(time: int, heads: int) -> None:
    attention, (inputs, upstream) = CausalAttention(), drawn(2, heads, time, 8)
    attention.blocks = True
    torch.library.opcheck(torch.ops.crescendo.attend.default, tuple(inputs))
    _, kept = torch.ops.crescendo.attend(*inputs)
    torch.library.opcheck(torch.ops.crescendo.attend_backward.default, (upstream, *inputs, kept))
    compiled = torch.compile(attention, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(*inputs), attention(*inputs))
