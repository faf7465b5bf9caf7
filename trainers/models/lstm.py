"""A stacked LSTM language model (Hochreiter & Schmidhuber 1997), as published music studies use it.

`nn.LSTM` keeps cuDNN's fused kernel on a GPU and oneDNN's on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainers.counts import Counts
from trainers.groups import Groups
from trainers.linear import Linear
from trainers.optim import BASE_DEPTH

LR = 0.048
"""Peak rate at width 64, by the sweeps in docs/experiments/sweeps.md."""

State = tuple[Tensor, Tensor]
"""Hidden and cell state, each (layers, batch, d_hidden)."""


@dataclass(frozen=True)
class Shape:
    d_embedding: int
    d_hidden: int
    n_layers: int

    @property
    def width(self) -> int:
        return self.d_hidden

    @property
    def depth(self) -> int:
        """No stream that every layer adds to, so nothing to damp."""
        return BASE_DEPTH


def candidates(n_params: int, vocab_size: int, context: int) -> Iterator[Shape]:
    """Shapes near `n_params`, the preferred one first.

    n_layers = max(1, sqrt(d_hidden) / 10): recurrent models gain little from depth (Melis et al.
    2018). The embedding's width starts from d_hidden and is bent to meet `n_params`, for the first
    layer's input matrix grows with it; shapes that bend it least come first.
    """
    found: list[tuple[float, Shape]] = []
    for d_hidden in _widths():
        n_layers = max(1, round(math.sqrt(d_hidden) / 10))
        fixed = count(Shape(0, d_hidden, n_layers), vocab_size).n_params
        step = 1 if d_hidden < 64 else 8 if d_hidden < 512 else 64
        d_embedding = round((n_params - fixed) / (4 * d_hidden) / step) * step
        if d_embedding < d_hidden / 4:
            break
        found.append(
            (abs(math.log(d_embedding / d_hidden)), Shape(d_embedding, d_hidden, n_layers))
        )
    yield from (shape for _, shape in sorted(found, key=lambda pair: pair[0]))


def _widths() -> Iterator[int]:
    """Every width while a model is tiny, then multiples that the hardware likes."""
    yield from range(4, 32)
    yield from range(32, 128, 4)
    yield from range(128, 512, 16)
    yield from range(512, 16_384 + 1, 64)


def count(shape: Shape, vocab_size: int) -> Counts:
    h = shape.d_hidden
    first = 4 * h * (shape.d_embedding + h + 2)
    deeper = (shape.n_layers - 1) * 4 * h * (2 * h + 2)
    return Counts(
        embedding=vocab_size * shape.d_embedding, non_embedding=first + deeper, head=vocab_size * h
    )


def flops_per_token(shape: Shape, vocab_size: int, context: int) -> int:
    """Forward and backward: 6 a matrix parameter; the context costs nothing extra."""
    h = shape.d_hidden
    matrices = 4 * h * (shape.d_embedding + h) + (shape.n_layers - 1) * 8 * h * h + vocab_size * h
    return 6 * matrices


def activations_per_token(shape: Shape, vocab_size: int) -> int:
    """Numbers held at the height of the backward pass, with a fused kernel: in each layer gates,
    cell, output, and gradients of all three, 20 d_hidden as counted; three of the embedding and of
    the logits."""
    return 20 * shape.n_layers * shape.d_hidden + 3 * shape.d_embedding + 3 * vocab_size


class Model(nn.Module):
    groups = Groups(
        # Of each gate one.
        hidden={"lstm.weight_*": 4},
        head=["head.weight"],
        rest=["embedding.weight", "lstm.bias_*"],
    )

    def __init__(self, shape: Shape, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, shape.d_embedding)
        self.lstm = nn.LSTM(shape.d_embedding, shape.d_hidden, shape.n_layers, batch_first=True)
        self.head = Linear(shape.d_hidden, vocab_size, bias=False)
        self._initialise(shape)

    def _initialise(self, shape: Shape) -> None:
        """Variance 1/fan_in, forget gates open (Jozefowicz et al. 2015), a silent head."""
        nn.init.normal_(self.embedding.weight)
        for name, weight in self.lstm.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
            else:
                nn.init.zeros_(weight)
                if name.startswith("bias_ih"):
                    # PyTorch orders the gates input, forget, cell, output.
                    with torch.no_grad():
                        weight[shape.d_hidden : 2 * shape.d_hidden] = 1.0
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, time) int64 -> logits (batch, time, vocab)."""
        x = self.embedding(tokens)
        # Under autocast PyTorch gives cuDNN's LSTM fp16, also where bf16 was asked for
        # (aten/src/ATen/cudnn/AutocastRNN.cpp), and that overflows: the recurrence stays in fp32.
        with torch.autocast(x.device.type, enabled=False):
            hidden, _ = self.lstm(x)
        return self.head(hidden)

    def step(self, token: Tensor, state: State | None) -> tuple[Tensor, State]:
        """token: (batch,) int64, the next one after `state` -> logits (batch, vocab), new state."""
        # By hand, for PyTorch's kernel on the CPU packs the weights anew at each call, which takes
        # two thirds of the time of a step.
        lstm, x = self.lstm, self.embedding(token)
        zeros = x.new_zeros(lstm.num_layers, len(x), lstm.hidden_size)
        hidden, cell = [], []
        for weights, h, c in zip(lstm.all_weights, *(state or (zeros, zeros))):
            w_x, w_h, bias_x, bias_h = weights
            gates = F.linear(x, w_x, bias_x) + F.linear(h, w_h, bias_h)
            into, forget, candidate, out = gates.chunk(4, dim=1)
            c = forget.sigmoid() * c + into.sigmoid() * candidate.tanh()
            x = out.sigmoid() * c.tanh()
            hidden.append(x)
            cell.append(c)
        return self.head(x), (torch.stack(hidden), torch.stack(cell))
