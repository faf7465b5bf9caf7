"""The classic decoder (Radford et al. 2019): learned positions, LayerNorm, GELU, a tied head.

It is there to compare with published work. Biases, pre-norm and the order of layers are GPT-2's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainers.attention import CausalAttention
from trainers.cache import Cache
from trainers.counts import Counts
from trainers.groups import Groups
from trainers.linear import Linear
from trainers.models.transformer import Stream, bent
from trainers.optim import BASE_DEPTH, BASE_WIDTH

LR = 0.008
"""Peak rate at width 64, by the sweeps in docs/experiments/trainers.md and sweeps.md."""

EMBEDDING_STD = 0.02
"""GPT-2's. It has to be small, for the same matrix is the head."""

EMBEDDING_SCALE = 10.0
"""On the way in it is enlarged, as Vaswani et al. (2017, section 3.4) do with a tied embedding,
here by what a sweep found and not by the width."""

State = list[Cache]
"""One for each layer."""


@dataclass(frozen=True)
class Shape(Stream):
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    n_positions: int
    """The most tokens that it can read."""


def candidates(n_params: int, vocab_size: int, context: int) -> Iterator[Shape]:
    """Shapes near `n_params`, the preferred one first; depth and heads as in `transformer`.

    d_ff starts from GPT-2's 4 d_model and is then bent to meet `n_params`.
    """

    def make(d_model: int, n_layers: int, n_heads: int, d_ff: int) -> Shape:
        return Shape(d_model, n_layers, n_heads, d_ff, context)

    return bent(n_params, make, lambda shape: count(shape, vocab_size).n_params, d_ff_usual=4)


def count(shape: Shape, vocab_size: int) -> Counts:
    """The tied matrix counts as the head: every token is multiplied with it. Positions are rows
    looked up."""
    d, layers = shape.d_model, shape.n_layers
    block = 4 * d * d + 2 * d * shape.d_ff + shape.d_ff + 9 * d
    return Counts(
        embedding=shape.n_positions * d, non_embedding=layers * block + 2 * d, head=vocab_size * d
    )


def flops_per_token(shape: Shape, vocab_size: int, context: int) -> int:
    """Forward and backward: 6 a matrix parameter, and attention over the causal half of the context
    (Hoffmann et al. 2022, appendix F)."""
    d, layers = shape.d_model, shape.n_layers
    matrices = layers * (4 * d * d + 2 * d * shape.d_ff) + vocab_size * d
    return 6 * matrices + 6 * layers * d * context


def activations_per_token(shape: Shape, vocab_size: int) -> int:
    """Numbers kept for the backward pass, with a kernel that does not keep the attention matrix:
    9 vectors of d_model and 2 of d_ff a block, and three of logits."""
    d, ff = shape.d_model, shape.d_ff
    return shape.n_layers * (9 * d + 2 * ff) + 3 * d + 3 * vocab_size


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.d_model
        self.n_heads = shape.n_heads
        # At the base depth branches enter as they are, in deeper models damped.
        self.damping = math.sqrt(BASE_DEPTH / shape.n_layers)
        self.attention_norm = nn.LayerNorm(d)
        self.qkv = Linear(d, 3 * d)
        self.causal = CausalAttention()
        self.out = Linear(d, d)
        self.mlp_norm = nn.LayerNorm(d)
        self.up = Linear(d, shape.d_ff)
        self.down = Linear(shape.d_ff, d)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x: (batch, time, d_model). With `cache`, x is one token, after those that are in it."""
        batch, time, d = x.shape
        qkv = self.qkv(self.attention_norm(x))
        q, k, v = qkv.view(batch, time, 3, self.n_heads, d // self.n_heads).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.append(k, v)
        # A token after those in the cache may look at all of them.
        attend = self.causal if cache is None else F.scaled_dot_product_attention
        mixed = attend(q, k, v)
        mixed = self.out(mixed.transpose(1, 2).reshape(batch, time, d))
        x = torch.add(x, mixed, alpha=self.damping)
        hidden = F.gelu(self.up(self.mlp_norm(x)), approximate="tanh")
        return torch.add(x, self.down(hidden), alpha=self.damping)


class Model(nn.Module):
    groups = Groups(
        hidden={"*.qkv.weight": 3, "*.out.weight": 1, "*.up.weight": 1, "*.down.weight": 1},
        # It is the embedding.
        head=[],
        rest=["embedding*.weight", "*norm.weight", "*.bias"],
    )

    def __init__(self, shape: Shape, vocab_size: int) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(vocab_size, shape.d_model)
        self.embedding_position = nn.Embedding(shape.n_positions, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.norm = nn.LayerNorm(shape.d_model)
        self.head = Linear(shape.d_model, vocab_size, bias=False)
        self.head.weight = self.embedding.weight
        self._initialise()

    def _initialise(self) -> None:
        """Variance 1/fan_in, which at its width of 768 is GPT-2's .036 for .02; branches damped."""
        for name, weight in self.named_parameters():
            if name.startswith("embedding"):
                nn.init.normal_(weight, std=EMBEDDING_STD)
            elif weight.dim() == 2:
                into_stream = name.endswith(("out.weight", "down.weight"))
                damping = (2 * BASE_DEPTH) ** -0.5 if into_stream else 1.0
                nn.init.normal_(weight, std=damping * weight.shape[1] ** -0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, time) int64, at most n_positions -> logits (batch, time, vocab)."""
        x = self._embed(tokens, 0)
        for block in self.blocks:
            x = block(x)
        return self._logits(x)

    def step(self, token: Tensor, state: State | None) -> tuple[Tensor, State]:
        """token: (batch,) int64, the next one after `state` -> logits (batch, vocab), and the
        state, which now holds this token too."""
        state = state or [Cache() for _ in self.blocks]
        x = self._embed(token[:, None], state[0].length)
        for block, cache in zip(self.blocks, state):
            x = block(x, cache)
        return self._logits(x)[:, 0], state

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        """tokens: (batch, time), the first of them at position `first`."""
        stop = first + tokens.shape[1]
        if stop > self.shape.n_positions:
            raise ValueError(
                f"{stop} tokens for a gpt with {self.shape.n_positions} positions; it cannot read "
                "more than the context it was trained with"
            )
        embedded = self.embedding(tokens) + self.embedding_position.weight[first:stop]
        return EMBEDDING_SCALE * embedded

    def _logits(self, x: Tensor) -> Tensor:
        """A tied head does not shrink as the width grows, so its output has to (Yang et al. 2022,
        appendix D)."""
        return self.head(self.norm(x)) * (BASE_WIDTH / self.shape.d_model)
