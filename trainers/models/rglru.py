"""Hawk (De et al. 2024): the gated linear recurrence RG-LRU, in residual blocks.

A block is the paper's: the stream goes through a short convolution and the recurrence, is
multiplied with a second branch, and then passes a gated MLP. Its state is of one size, however long
the piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainers.counts import Counts
from trainers.groups import Groups
from trainers.linear import Linear
from trainers.models.transformer import Stream, bent
from trainers.optim import BASE_DEPTH
from trainers.recurrence import Recurrence, convolution

LR = 0.016
"""Peak rate at width 64, by the sweep in docs/experiments/trainers.md."""

TAPS = 4
"""Tokens that the convolution sees, the present one among them."""

MATRICES = ("enter.weight", "qkv.weight", "gate_up.weight", "out.weight", "down.weight")
"""Those that begin alike, of this model and of `hybrid`; the gates' begin in the recurrence."""

State = list[Any]
"""For each block what its mixer carries on."""


@dataclass(frozen=True)
class Shape(Stream):
    d_model: int
    n_layers: int
    d_ff: int


def candidates(n_params: int, vocab_size: int, context: int) -> Iterator[Shape]:
    """Shapes near `n_params`, the preferred one first; depth as in `transformer`.

    The recurrence is as wide as the stream, and its gates see all of it, so d_ff starts from the
    8/3 d_model of `transformer` and not from the paper's 3.
    """

    def make(d_model: int, n_layers: int, n_heads: int, d_ff: int) -> Shape:
        return Shape(d_model, n_layers, d_ff)

    return bent(n_params, make, lambda shape: count(shape, vocab_size).n_params, d_ff_usual=8 / 3)


def count(shape: Shape, vocab_size: int) -> Counts:
    d, layers = shape.d_model, shape.n_layers
    block = 5 * d * d + 3 * d * shape.d_ff + (TAPS + 5) * d
    return Counts(embedding=vocab_size * d, non_embedding=layers * block + d, head=vocab_size * d)


def flops_per_token(shape: Shape, vocab_size: int, context: int) -> int:
    """Forward and backward: 6 a matrix parameter; the context costs nothing extra."""
    d, layers = shape.d_model, shape.n_layers
    return 6 * (layers * (5 * d * d + 3 * d * shape.d_ff) + vocab_size * d)


def activations_per_token(shape: Shape, vocab_size: int) -> int:
    """Numbers kept for the backward pass: 17 vectors of d_model a block, of which the recurrence
    keeps six, and 4 of d_ff; the head its logits, their softmax and their gradient."""
    d, ff = shape.d_model, shape.d_ff
    return shape.n_layers * (17 * d + 4 * ff) + 3 * d + 3 * vocab_size


class Carried:
    """What a recurrent block knows of the tokens read so far."""

    def __init__(self) -> None:
        self.state: Tensor | None = None
        """(batch, d_model)"""
        self.latest: Tensor | None = None
        """(batch, TAPS - 1, d_model): what the convolution saw last."""


class Recurrent(nn.Module):
    """Mixes along time."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.enter = Linear(d_model, 2 * d_model, bias=False)
        self.taps = nn.Parameter(TAPS**-0.5 * torch.randn(TAPS, d_model))
        self.recurrence = Recurrence(d_model)
        self.out = Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor, carried: Carried | None = None) -> Tensor:
        """x: (batch, time, d_model). With `carried`, x is one token, and `carried` then holds it
        too."""
        branch, beside = self.enter(x).chunk(2, dim=-1)
        if carried is None:
            states = self.recurrence(convolution(branch, self.taps))
        else:
            states = self._step(branch, carried)
        return self.out(F.gelu(beside) * states)

    def _step(self, branch: Tensor, carried: Carried) -> Tensor:
        if carried.state is None or carried.latest is None:
            carried.state = torch.zeros_like(branch[:, 0])
            carried.latest = torch.zeros_like(branch).repeat(1, TAPS - 1, 1)
        seen = torch.cat([carried.latest, branch], dim=1)
        carried.latest = seen[:, 1:]
        mixed = (seen * self.taps.flip(0)).sum(1)
        carried.state = self.recurrence.step(mixed, carried.state)
        return carried.state[:, None]


class Block(nn.Module):
    """What mixes along time, and an MLP."""

    def __init__(self, mixer: nn.Module, d_model: int, d_ff: int, n_layers: int) -> None:
        super().__init__()
        # At the base depth branches enter as they are, in deeper models damped.
        self.damping = math.sqrt(BASE_DEPTH / n_layers)
        self.mixer_norm = nn.RMSNorm(d_model)
        self.mixer = mixer
        self.mlp_norm = nn.RMSNorm(d_model)
        self.gate_up = Linear(d_model, 2 * d_ff, bias=False)
        self.down = Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor, carried: Any = None) -> Tensor:
        """carried: what the mixer knows of earlier tokens, where x is one token more."""
        mixed = self.mixer(self.mixer_norm(x), carried)
        x = torch.add(x, mixed, alpha=self.damping)
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return torch.add(x, self.down(F.silu(gate) * up), alpha=self.damping)


class Model(nn.Module):
    groups = Groups(
        hidden={
            "*.enter.weight": 2,
            "*.gates.weight": 2,
            "*.out.weight": 1,
            "*.gate_up.weight": 2,
            "*.down.weight": 1,
        },
        head=["head.weight"],
        rest=["embedding.weight", "*norm.weight", "*.taps", "*.gates.bias", "*.forget"],
    )

    def __init__(self, shape: Any, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, shape.d_model)
        self.blocks = nn.ModuleList(
            Block(mixer, shape.d_model, shape.d_ff, shape.n_layers) for mixer in self._mixers(shape)
        )
        self.norm = nn.RMSNorm(shape.d_model)
        self.head = Linear(shape.d_model, vocab_size, bias=False)
        self._initialise()

    def _mixers(self, shape: Any) -> list[nn.Module]:
        """Of each block."""
        return [Recurrent(shape.d_model) for _ in range(shape.n_layers)]

    def _fresh(self) -> list[Any]:
        """What each block knows before the first token."""
        return [Carried() for _ in self.blocks]

    def _initialise(self) -> None:
        """Variance 1/fan_in, branches damped, a silent head (Yang et al. 2022)."""
        nn.init.normal_(self.embedding.weight)
        for name, weight in self.named_parameters():
            if name.endswith(MATRICES):
                into_stream = name.endswith(("out.weight", "down.weight"))
                damping = (2 * BASE_DEPTH) ** -0.5 if into_stream else 1.0
                nn.init.normal_(weight, std=damping * weight.shape[1] ** -0.5)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, time) int64 -> logits (batch, time, vocab)."""
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def step(self, token: Tensor, state: State | None) -> tuple[Tensor, State]:
        """token: (batch,) int64, the next one after `state` -> logits (batch, vocab), and the
        state, which now holds this token too."""
        state = state or self._fresh()
        x = self.embedding(token)[:, None]
        for block, carried in zip(self.blocks, state):
            x = block(x, carried)
        return self.head(self.norm(x))[:, 0], state
