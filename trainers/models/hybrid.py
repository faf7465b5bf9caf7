"""Griffin (De et al. 2024): two blocks of the gated recurrence to one of local attention.

The blocks are those of `rglru`, but every third mixes by attention to the last tokens: what stood
there can be copied, what lies further back is in the recurrence alone. Its state is of one size,
too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainers.cache import Ring
from trainers.counts import Counts
from trainers.groups import Groups
from trainers.linear import Linear
from trainers.models import rglru
from trainers.models.rglru import TAPS, Carried, Recurrent
from trainers.models.transformer import Stream, bent, rope_table, rotate

LR = 0.016
"""Peak rate at width 64, by the sweep in docs/experiments/trainers.md."""

WINDOW = 128
"""Tokens that attention sees: about a folk tune, or four bars in three voices."""

PERIOD = 3
"""Every so many blocks the last one is of attention."""


@dataclass(frozen=True)
class Shape(Stream):
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    window: int = WINDOW

    @property
    def n_attention(self) -> int:
        """Blocks of attention."""
        return self.n_layers // PERIOD


def candidates(n_params: int, vocab_size: int, context: int) -> Iterator[Shape]:
    """Shapes near `n_params`, the preferred one first; depth and heads as in `transformer`, but at
    least one block of attention."""

    def size(shape: Shape) -> int:
        return count(shape, vocab_size).n_params

    return bent(n_params, Shape, size, d_ff_usual=8 / 3, least_layers=PERIOD)


def count(shape: Shape, vocab_size: int) -> Counts:
    d, layers = shape.d_model, shape.n_layers
    recurrent = (layers - shape.n_attention) * (5 * d * d + (TAPS + 3) * d)
    blocks = recurrent + shape.n_attention * 4 * d * d + layers * (3 * d * shape.d_ff + 2 * d)
    return Counts(embedding=vocab_size * d, non_embedding=blocks + d, head=vocab_size * d)


def flops_per_token(shape: Shape, vocab_size: int, context: int) -> int:
    """Forward and backward: 6 a matrix parameter, and 12 d for each position attended to, of which
    a token has half the window at most until the window is full, and then all of it."""
    d, layers, attention, window = shape.d_model, shape.n_layers, shape.n_attention, shape.window
    matrices = (layers - attention) * 5 * d * d + attention * 4 * d * d
    matrices += layers * 3 * d * shape.d_ff + vocab_size * d
    seen_twice = context if context <= window else 2 * window - window**2 / context
    return 6 * matrices + round(6 * attention * d * seen_twice)


def activations_per_token(shape: Shape, vocab_size: int) -> int:
    """Numbers kept for the backward pass: of a recurrent block as in `rglru`, of attention 20
    vectors of d_model, for blocks of queries have keys of their own; and 4 of d_ff."""
    d, attention = shape.d_model, shape.n_attention
    blocks = (shape.n_layers - attention) * 17 * d + attention * 20 * d
    return blocks + shape.n_layers * 4 * shape.d_ff + 3 * d + 3 * vocab_size


class Local(nn.Module):
    """Attention of each token to itself and the `window - 1` before it, with rotary positions."""

    def __init__(self, d_model: int, n_heads: int, window: int) -> None:
        super().__init__()
        self.n_heads, self.window = n_heads, window
        self.qkv = Linear(d_model, 3 * d_model, bias=False)
        self.out = Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor, ring: Ring | None = None) -> Tensor:
        """x: (batch, time, d_model). With `ring`, x is one token, after those that are in it."""
        batch, time, d = x.shape
        start = ring.length if ring else 0
        rope = rope_table(d // self.n_heads, start, start + time, x.device)
        qkv = self.qkv(x).view(batch, time, 3, self.n_heads, d // self.n_heads)
        qkv = qkv.permute(2, 0, 3, 1, 4)
        (q, k), v = rotate(qkv[:2], rope), qkv[2]
        if ring is None:
            mixed = local_attention(q, k, v, self.window)
        else:
            mixed = F.scaled_dot_product_attention(q, *ring.append(k, v))
        return self.out(mixed.transpose(1, 2).reshape(batch, time, d))


def local_attention(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """What each token takes from itself and the `window - 1` before it, likewise.

    q, k, v: (batch, heads, time, head_dim). The first window is plain causal attention; later
    queries come in blocks of a window, each with the keys of its own block and of the one before,
    so time and memory grow with the time and not with its square.
    """
    time = q.shape[2]
    first_q, first_k, first_v = (each[:, :, :window] for each in (q, k, v))
    first = F.scaled_dot_product_attention(first_q, first_k, first_v, is_causal=True)
    if time <= window:
        return first
    q, k, v = (
        F.pad(each, (0, 0, 0, -time % window)).unflatten(2, (-1, window)).transpose(1, 2)
        for each in (q, k, v)
    )
    k, v = (torch.cat([each[:, :-1], each[:, 1:]], dim=3) for each in (k, v))
    # Of two windows of keys, query i sees those from i + 1 to i + window.
    place = torch.arange(2 * window, device=q.device)
    ahead = place - place[:window, None]
    seen = (ahead > 0) & (ahead <= window)
    blocks_q, blocks_k, blocks_v = (each.flatten(0, 1) for each in (q[:, 1:], k, v))
    later = F.scaled_dot_product_attention(blocks_q, blocks_k, blocks_v, attn_mask=seen)
    later = later.unflatten(0, (len(q), -1)).transpose(1, 2).flatten(2, 3)
    return torch.cat([first, later[:, :, : time - window]], dim=2)


class Model(rglru.Model):
    groups = Groups(
        hidden={**rglru.Model.groups.hidden, "*.qkv.weight": 3},
        head=rglru.Model.groups.head,
        rest=rglru.Model.groups.rest,
    )

    def __init__(self, shape: Shape, vocab_size: int) -> None:
        super().__init__(shape, vocab_size)
        self.window = shape.window

    def _mixers(self, shape: Shape) -> list[nn.Module]:
        return [
            Local(shape.d_model, shape.n_heads, shape.window)
            if _attends(number)
            else Recurrent(shape.d_model)
            for number in range(shape.n_layers)
        ]

    def _fresh(self) -> list[Any]:
        return [
            Ring(self.window) if _attends(number) else Carried()
            for number in range(len(self.blocks))
        ]


def _attends(block: int) -> bool:
    return block % PERIOD == PERIOD - 1
