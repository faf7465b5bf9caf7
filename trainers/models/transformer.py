"""A decoder-only transformer of today: pre-norm RMSNorm, rotary positions, SwiGLU, untied head.

Attention is `trainers.attention`, so CPU and GPU take their fastest kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainers.attention import CausalAttention
from trainers.cache import Cache
from trainers.counts import Counts
from trainers.groups import Groups
from trainers.linear import Linear
from trainers.optim import BASE_DEPTH

LR = 0.008
"""Peak rate at width 64, by the sweeps in docs/experiments/sweeps.md."""

ROPE_BASE = 10_000.0

HEAD_WIDTHS = (16, 24, 32, 64)
"""Narrower ones lose more time than they gain in loss, wider ones no GPU asks for."""

ENOUGH_HEADS = 6
"""As many as a model has if one of these widths allows it."""

State = list[Cache]
"""One for each layer."""


class Stream:
    """A shape whose layers all add to one stream, as wide as the model."""

    d_model: int
    n_layers: int

    @property
    def width(self) -> int:
        return self.d_model

    @property
    def depth(self) -> int:
        return self.n_layers


@dataclass(frozen=True)
class Shape(Stream):
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int


def candidates(n_params: int, vocab_size: int, context: int) -> Iterator[Shape]:
    """Shapes near `n_params`, the preferred one first.

    Width decides depth: n_layers = max(2, sqrt(d_model) / 3), which passes close to the published
    ladders (128 x 4, 512 x 8, 1024 x 11) and never falls to one layer, which cannot form induction
    heads (Olsson et al. 2022) and so is another kind of model. d_ff starts from 8/3 d_model
    (Shazeer 2020) and is then bent to meet `n_params`; shapes that bend it least come first.
    """
    return bent(n_params, Shape, lambda shape: count(shape, vocab_size).n_params, d_ff_usual=8 / 3)


Bent = TypeVar("Bent")


def bent(
    n_params: int,
    make: Callable[[int, int, int, int], Bent],
    size: Callable[[Bent], int],
    d_ff_usual: float,
    least_layers: int = 2,
) -> Iterator[Bent]:
    """Shapes of every width whose d_ff is bent to meet `n_params`, the least bent first.

    make: from d_model, n_layers, n_heads, d_ff. size: parameters, linear in d_ff. d_ff_usual: in
    units of d_model.
    """
    found: list[tuple[float, Bent]] = []
    for d_model in _widths():
        n_layers = max(least_layers, round(math.sqrt(d_model) / 3))
        fixed, one_more = (
            size(make(d_model, n_layers, _n_heads(d_model), d_ff)) for d_ff in (0, 1)
        )
        ff_step = 64 if d_model >= 256 else 8 if d_model >= 64 else 1
        d_ff = round((n_params - fixed) / (one_more - fixed) / ff_step) * ff_step
        if d_ff < d_model:
            break
        bend = abs(math.log(d_ff / (d_ff_usual * d_model)))
        found.append((bend, make(d_model, n_layers, _n_heads(d_model), d_ff)))
    yield from (shape for _, shape in sorted(found, key=lambda pair: pair[0]))


def _widths() -> Iterator[int]:
    """Multiples that the hardware likes: of a vector register when tiny, of a tensor tile later."""
    yield from (8, 12, 16, 24, 32, 40)
    yield from range(48, 256, 16)
    yield from range(256, 16_384 + 1, 64)


def _n_heads(d_model: int) -> int:
    """The fewest, and so the widest, heads that cost no loss: EXPERIMENTS.md has the trial."""
    if d_model < 48:
        return d_model // (6 if d_model == 12 else 8)
    wide = [head for head in HEAD_WIDTHS if d_model % head == 0 and d_model // head >= ENOUGH_HEADS]
    return d_model // max(wide, default=HEAD_WIDTHS[0])


def count(shape: Shape, vocab_size: int) -> Counts:
    d, layers = shape.d_model, shape.n_layers
    block = 4 * d * d + 3 * d * shape.d_ff + 2 * d
    return Counts(embedding=vocab_size * d, non_embedding=layers * block + d, head=vocab_size * d)


def flops_per_token(shape: Shape, vocab_size: int, context: int) -> int:
    """Forward and backward: 6 a matrix parameter, and 12 d for each position attended to.

    Hoffmann et al. (2022), appendix F, with attention counted over the causal half of the context.
    """
    d, layers = shape.d_model, shape.n_layers
    matrices = layers * (4 * d * d + 3 * d * shape.d_ff) + vocab_size * d
    return 6 * matrices + 6 * layers * d * context


def activations_per_token(shape: Shape, vocab_size: int) -> int:
    """Numbers kept for the backward pass, with a kernel that does not keep the attention matrix.

    A block keeps 14 vectors of d_model (stream, norms, q, k, v before and after rotation, what
    attention puts out) and 4 of d_ff; the head its logits, their softmax and their gradient.
    """
    d, ff = shape.d_model, shape.d_ff
    return shape.n_layers * (14 * d + 4 * ff) + 3 * d + 3 * vocab_size


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_heads = shape.n_heads
        self.qkv = Linear(shape.d_model, 3 * shape.d_model, bias=False)
        self.out = Linear(shape.d_model, shape.d_model, bias=False)
        self.causal = CausalAttention()

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], cache: Cache | None = None) -> Tensor:
        """x: (batch, time, d_model). With `cache`, x is one token, after those that are in it."""
        batch, time, d = x.shape
        qkv = self.qkv(x).view(batch, time, 3, self.n_heads, d // self.n_heads)
        qkv = qkv.permute(2, 0, 3, 1, 4)
        (q, k), v = rotate(qkv[:2], rope), qkv[2]
        if cache is not None:
            k, v = cache.append(k, v)
        # A token after those in the cache may look at all of them.
        attend = self.causal if cache is None else F.scaled_dot_product_attention
        mixed = attend(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(batch, time, d))


def rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary position embedding (Su et al. 2021), halves rotated against each other."""
    cos, sin = rope
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


def rope_table(head_dim: int, start: int, stop: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of positions start..stop-1, each (time, head_dim / 2)."""
    frequency = ROPE_BASE ** (-torch.arange(0, head_dim, 2, device=device) / head_dim)
    angle = torch.arange(start, stop, device=device)[:, None] * frequency
    return angle.cos(), angle.sin()


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        # At the base depth branches enter as they are, in deeper models damped.
        self.damping = math.sqrt(BASE_DEPTH / shape.n_layers)
        self.attention_norm = nn.RMSNorm(shape.d_model)
        self.attention = Attention(shape)
        self.mlp_norm = nn.RMSNorm(shape.d_model)
        self.gate_up = Linear(shape.d_model, 2 * shape.d_ff, bias=False)
        self.down = Linear(shape.d_ff, shape.d_model, bias=False)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], cache: Cache | None = None) -> Tensor:
        mixed = self.attention(self.attention_norm(x), rope, cache)
        x = torch.add(x, mixed, alpha=self.damping)
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return torch.add(x, self.down(F.silu(gate) * up), alpha=self.damping)


class Model(nn.Module):
    groups = Groups(
        hidden={"*.qkv.weight": 3, "*.out.weight": 1, "*.gate_up.weight": 2, "*.down.weight": 1},
        head=["head.weight"],
        rest=["embedding.weight", "*norm.weight"],
    )

    def __init__(self, shape: Shape, vocab_size: int) -> None:
        super().__init__()
        self.head_dim = shape.d_model // shape.n_heads
        self.embedding = nn.Embedding(vocab_size, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.norm = nn.RMSNorm(shape.d_model)
        self.head = Linear(shape.d_model, vocab_size, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """Variance 1/fan_in, branches damped, a silent head (Yang et al. 2022)."""
        nn.init.normal_(self.embedding.weight)
        for name, weight in self.named_parameters():
            if name.endswith(("qkv.weight", "gate_up.weight", "out.weight", "down.weight")):
                into_stream = name.endswith(("out.weight", "down.weight"))
                damping = (2 * BASE_DEPTH) ** -0.5 if into_stream else 1.0
                nn.init.normal_(weight, std=damping * weight.shape[1] ** -0.5)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, time) int64 -> logits (batch, time, vocab)."""
        rope = rope_table(self.head_dim, 0, tokens.shape[1], tokens.device)
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, rope)
        return self.head(self.norm(x))

    def step(self, token: Tensor, state: State | None) -> tuple[Tensor, State]:
        """token: (batch,) int64, the next one after `state` -> logits (batch, vocab), and the
        state, which now holds this token too."""
        state = state or [Cache() for _ in self.blocks]
        position = state[0].length
        rope = rope_table(self.head_dim, position, position + 1, token.device)
        x = self.embedding(token)[:, None]
        for block, cache in zip(self.blocks, state):
            x = block(x, rope, cache)
        return self.head(self.norm(x))[:, 0], state
