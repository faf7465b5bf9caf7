"""Linear is `nn.Linear`, whichever library multiplies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainers.linear import ONEDNN_FROM, PRODUCTS, Linear

LARGE, SMALL = (4, 512, 96), (2, 64, 96)
OUTPUTS = 192


def products(layer: nn.Linear, x: Tensor, upstream: Tensor) -> list[Tensor]:
    """What comes out, and the gradients of input and parameters."""
    x = x.clone().requires_grad_()
    found = layer(x)
    found.backward(upstream)
    gradients = [x.grad, *(parameter.grad for parameter in layer.parameters())]
    return [found.detach(), *(gradient for gradient in gradients if gradient is not None)]


def ours_and_theirs(
    x: Tensor,
    *,
    theirs_in: torch.dtype | None = None,
    bias: bool = True,
    product: str = "onednn",
) -> list[tuple[Tensor, Tensor]]:
    """The products of Linear and of `nn.Linear`, which may calculate in another type."""
    ours = Linear(x.shape[-1], OUTPUTS, bias=bias, dtype=x.dtype)
    ours.product = product
    dtype = theirs_in or x.dtype
    theirs = nn.Linear(x.shape[-1], OUTPUTS, bias=bias, dtype=dtype)
    theirs.load_state_dict(ours.state_dict())
    upstream = torch.randn(*x.shape[:-1], OUTPUTS, dtype=x.dtype)
    return list(
        zip(
            products(ours, x, upstream),
            products(theirs, x.to(dtype), upstream.to(dtype)),
            strict=True,
        )
    )


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("contiguous", [True, False])
def test_a_large_product_is_exact_to_the_rounding_of_fp32(
    bias: bool, contiguous: bool, product: str
) -> None:
    batch, time, d = LARGE
    x = torch.randn(LARGE) if contiguous else torch.randn(time, batch, d).transpose(0, 1)
    assert x.numel() * OUTPUTS >= ONEDNN_FROM
    for found, exact in ours_and_theirs(x, theirs_in=torch.float64, bias=bias, product=product):
        assert (found - exact).norm() < 1e-6 * exact.norm()


def test_a_large_product_is_the_same_each_time() -> None:
    layer, x, upstream = Linear(96, OUTPUTS), torch.randn(LARGE), torch.randn(4, 512, OUTPUTS)
    first = products(layer, x, upstream)
    layer.zero_grad()
    for one, other in zip(first, products(layer, x, upstream), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "x", [torch.randn(SMALL), torch.randn(LARGE, dtype=torch.float64)], ids=["small", "double"]
)
def test_other_products_are_torch_s_own(x: Tensor) -> None:
    assert all(torch.equal(mine, its) for mine, its in ours_and_theirs(x))


def test_mkl_s_product_is_torch_s_own_at_any_size() -> None:
    pairs = ours_and_theirs(torch.randn(LARGE), product="mkl")
    assert all(torch.equal(mine, its) for mine, its in pairs)


@pytest.mark.parametrize(("product", "calls"), [("mkl", 0), ("mixed", 2), ("onednn", 3)])
def test_a_step_sends_so_many_of_its_three_products_to_onednn(product: str, calls: int) -> None:
    layer = Linear(96, OUTPUTS)
    layer.product = product
    with torch.profiler.profile() as profiler:
        products(layer, torch.randn(LARGE), torch.randn(4, 512, OUTPUTS))
    counted = [e.count for e in profiler.key_averages() if "onednn_product" in e.key]
    assert sum(counted) == calls


def test_a_torch_without_onednn_is_served() -> None:
    with torch.backends.mkldnn.flags(enabled=False):
        found = ours_and_theirs(torch.randn(LARGE))
    assert all(torch.equal(mine, its) for mine, its in found)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_compiler_takes_the_same_products(product: str) -> None:
    layer, x = Linear(96, OUTPUTS), torch.randn(LARGE)
    layer.product = product
    compiled: Any = torch.compile(layer, backend="aot_eager", fullgraph=True)
    upstream = torch.randn(4, 512, OUTPUTS)
    first = products(layer, x, upstream)
    layer.zero_grad()
    for one, other in zip(first, products(compiled, x, upstream), strict=True):
        assert torch.equal(one, other)


def test_under_autocast_a_large_product_is_in_bf16_as_a_small_one_is() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        for tokens in (4, ONEDNN_FROM // 4096):
            assert Linear(64, 64)(torch.zeros(tokens, 64)).dtype == torch.bfloat16
