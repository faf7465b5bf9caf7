"""`nn.Linear`, with the faster of two libraries for each matrix product on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

ONEDNN_FROM = 2**24
"""The number of multiplications, tokens x inputs x outputs, from which oneDNN gains more than it
spends on reordering the weights; docs/experiments/trainers.md has the table."""

PRODUCTS = ("mkl", "mixed", "onednn")


class Linear(nn.Linear):
    """As PyTorch's, but large products in fp32 on a CPU may go to oneDNN.

    PyTorch gives them to MKL. Which is the faster one depends on the processor, and on whether a
    product is of activations or makes a gradient of weights. The weights, their names and their
    gradients are those of `nn.Linear`.
    """

    product = "onednn"
    """One of PRODUCTS; `mixed` is oneDNN but for the gradients of weights. `trainers.kernels`
    chooses."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., in_features) -> (..., out_features)."""
        if self.product != "mkl" and _for_onednn(x, self.out_features):
            return _OneDNN.apply(x, self.weight, self.bias, self.product == "onednn")
        return super().forward(x)


def _for_onednn(x: Tensor, out_features: int) -> bool:
    onednn = torch.backends.mkldnn.enabled and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    on_cpu = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    large = x.numel() * out_features >= ONEDNN_FROM
    return bool(onednn and on_cpu and x.dtype == torch.float32 and large)


class _OneDNN(torch.autograd.Function):
    """x W^T + b and its gradients. `Tensor.to_mkldnn` would do it too, but keeps copies of all
    inputs and outputs."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, throughout: bool
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.throughout = throughout  # type: ignore[attr-defined]
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        rows, inputs = grad.flatten(0, -2), x.flatten(0, -2)
        to_bias = rows.sum(0) if ctx.needs_input_grad[2] else None
        product = _product if ctx.throughout else F.linear
        return _product(grad, weight.t()), product(rows.t(), inputs.t()), to_bias, None


# An operator of its own, as a compiler takes PyTorch's for inference alone.
@torch.library.custom_op("crescendo::onednn_product", mutates_args=(), device_types="cpu")
def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x: (..., k), weight: (n, k) -> (..., n)."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@_product.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])
