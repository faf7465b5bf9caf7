"""Causal attention, by PyTorch's kernel or, on a CPU, written out in blocks of queries.

PyTorch's kernel keeps no matrix of weights, and computes it again in the backward pass, in products
that are small where heads are narrow. The blocks keep theirs, and leave out what lies behind the
diagonal; docs/experiments/trainers.md has both times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK, ROWS = 64, 8
"""Queries, and sequences times heads, at once: so many weights stay in a processor's cache."""

FORMATS = (torch.float32, torch.bfloat16)
"""In which blocks are written out. In bf16 scores are rounded before the softmax, as where PyTorch
multiplies under autocast."""


class CausalAttention(nn.Module):
    """softmax(Q K^T / sqrt(head_dim)) V, each position over itself and those before it (Vaswani et
    al. 2017, section 3.2.1)."""

    blocks = False
    """Whether it is written out; chosen by `trainers.kernels`."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(batch, heads, time, head_dim) each, and so is what it returns."""
        if self.blocks and q.dtype in FORMATS and q.device.type == "cpu":
            return torch.ops.crescendo.attend(q, k, v)[0]
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def kept_numbers(sequences: int, heads: int, time: int) -> int:
    """What the blocks of one layer keep for the backward pass."""
    return sequences * heads * sum((end - start) * end for start, end in _blocks(time))


def _blocks(time: int) -> list[tuple[int, int]]:
    """The first query of each block, and the end of its keys."""
    return [(start, min(time, start + BLOCK)) for start in range(0, time, BLOCK)]


def _pieces(kept: Tensor, rows: int, time: int) -> Iterator[tuple[slice, int, int, Tensor]]:
    """Rows, queries and keys of each piece of the work, and its weights (rows, queries, keys)."""
    at = 0
    for first in range(0, rows, ROWS):
        some = slice(first, min(rows, first + ROWS))
        for start, end in _blocks(time):
            shape = some.stop - first, end - start, end
            weights = kept[at : at + math.prod(shape)].view(shape)
            at += weights.numel()
            yield some, start, end, weights


# Opaque to a compiler, which would unroll the loop in every layer.
@torch.library.custom_op("crescendo::attend", mutates_args=(), device_types="cpu")
def _attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """What `CausalAttention` returns, and the weights, piece after piece."""
    *rows, time, width = q.shape
    q, k, v = (each.reshape(-1, time, width) for each in (q, k, v))
    kept = q.new_empty(kept_numbers(rows[0], rows[1], time))
    out = q.new_empty(q.shape)
    future = q.new_full((BLOCK, BLOCK), -math.inf).triu_(1)
    for some, start, end, weights in _pieces(kept, len(q), time):
        keys = k[some, :end].transpose(1, 2)
        # beta=0: the first argument is of no account.
        scores = torch.baddbmm(future[:1, :1], q[some, start:end], keys, beta=0, alpha=width**-0.5)
        scores[:, :, start:] += future[: end - start, : end - start]
        torch.softmax(scores, -1, out=weights)
        torch.bmm(weights, v[some, :end], out=out[some, start:end])
    return out.view(*rows, time, width), kept


@torch.library.custom_op("crescendo::attend_backward", mutates_args=(), device_types="cpu")
def _attend_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    shape, time, width = q.shape, *q.shape[2:]
    grad, q, k, v = (each.reshape(-1, time, width) for each in (grad, q, k, v))
    to_q, to_k, to_v = (each.new_zeros(each.shape) for each in (q, k, v))
    for some, start, end, weights in _pieces(kept, len(q), time):
        above = grad[some, start:end]
        to_v[some, :end].baddbmm_(weights.transpose(1, 2), above)
        to_weights = torch.bmm(above, v[some, :end].transpose(1, 2))
        to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        torch.bmm(to_scores, k[some, :end], out=to_q[some, start:end])
        to_k[some, :end].baddbmm_(to_scores.transpose(1, 2), q[some, start:end])
    scale = width**-0.5
    return to_q.mul_(scale).view(shape), to_k.mul_(scale).view(shape), to_v.view(shape)


@_attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape), q.new_empty(kept_numbers(*q.shape[:3]))


@_attend_backward.register_fake
def _(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
    # The weights have no gradient, and none of zeros is to be made.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs, output[1])


def _backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    return torch.ops.crescendo.attend_backward(grad, *ctx.saved_tensors)


_attend.register_autograd(_backward, setup_context=_keep)
# As PyTorch's own: queries that were rotated in fp32 are rounded, too.
_attend.register_autocast("cpu", torch.bfloat16)
