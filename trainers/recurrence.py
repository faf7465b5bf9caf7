"""The RG-LRU of Griffin (De et al. 2024, section 2.4), a gated linear recurrence, read at once.

    r_t = sigmoid(W_r x_t + b_r)        i_t = sigmoid(W_i x_t + b_i)
    a_t = exp(-c softplus(forget) r_t)
    h_t = a_t h_{t-1} + sqrt(1 - a_t^2) (i_t x_t)

The gates see the input alone, so all steps but the last line are done for all tokens together, and
the last is a scan. Its gradient is written out: that of a linear scan is a scan backwards.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from trainers.linear import Linear

C = 8.0
"""The paper's c, by which a gate that is open forgets faster than one that is half open."""

SLOWEST, FASTEST = 0.999, 0.9
"""What units keep of their states at each token while their gates are open: in the beginning drawn
evenly from between these two."""


class Recurrence(nn.Module):
    """The recurrence of `width` units, with its gates."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = Linear(width, 2 * width)
        nn.init.normal_(self.gates.weight, std=width**-0.5)
        nn.init.zeros_(self.gates.bias)
        kept = torch.empty(width).uniform_(FASTEST, SLOWEST)
        self.forget = nn.Parameter((-kept.log() / C).expm1().log())

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time, width) -> the states, likewise, in fp32 also under autocast."""
        dtype = self.forget.dtype
        return _read(x.to(dtype), self.gates(x).to(dtype), self.forget)

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        """x: (batch, width), one token; state: (batch, width), before it -> the state after it."""
        gates = self.gates(x).sigmoid()
        keeps, _, enters = _terms(x, gates, self.forget)
        return torch.addcmul(enters, keeps, state)


def _terms(x: Tensor, gates: Tensor, forget: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """a_t; sqrt(1 - a_t^2); and what enters the state. gates: (..., 2 width), after the sigmoid."""
    r, i = gates.chunk(2, dim=-1)
    # One function for both, exact also where a state is kept nearly whole: 1 - a^2 of an `a` that
    # was rounded would not be.
    lost = (r * (-C * F.softplus(forget))).expm1_()
    room = (lost + 2).mul_(lost).neg_().sqrt_()
    return lost.add_(1), room, (room * i).mul_(x)


class _Recurrence(torch.autograd.Function):
    """x: (batch, time, width), gates: (batch, time, 2 width) before the sigmoid -> h.

    Six numbers a unit are kept for the backward pass, where PyTorch's own would keep twelve.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gates: Tensor, forget: Tensor) -> Tensor:
        gates = gates.sigmoid()
        keeps, room, enters = _terms(x, gates, forget)
        h = scan(keeps, enters, torch.zeros_like(x[:, 0]))
        ctx.save_for_backward(gates, forget, keeps, room, enters, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, forget, keeps, room, enters, h = ctx.saved_tensors
        r, i = gates.chunk(2, dim=-1)
        # Of the loss with respect to what enters at each step, all later states included.
        earlier = scan(keeps[:, 1:], grad[:, :-1], grad[:, -1], backwards=True)
        to_enters = torch.cat([earlier, grad[:, -1:]], dim=1)
        to_x = (room * i).mul_(to_enters)
        # With respect to the logarithm s of a, times s. From h_t and s: dh/ds = a h_{t-1} - a^2
        # enters / (1 - a^2) = h - enters / (1 - a^2). A unit that keeps all has let nothing enter.
        softplus = F.softplus(forget)
        room = room.square().clamp_(min=torch.finfo(room.dtype).tiny)
        to_log = torch.sub(h, enters / room).mul_(r).mul_(-C * softplus).mul_(to_enters)
        to_gates = torch.empty_like(gates)
        to_r, to_i = to_gates.chunk(2, dim=-1)
        torch.mul(to_log, 1 - r, out=to_r)
        torch.mul((to_enters * enters), 1 - i, out=to_i)
        tiny = torch.finfo(softplus.dtype).tiny
        to_forget = to_log.sum((0, 1)) * forget.sigmoid() / softplus.clamp(min=tiny)
        return to_x, to_gates, to_forget


# A compiler would unroll the scan, for minutes; it takes what is before and after.
@torch.compiler.disable
def _read(x: Tensor, gates: Tensor, forget: Tensor) -> Tensor:
    states: Tensor = _Recurrence.apply(x, gates, forget)
    return states


def scan(a: Tensor, b: Tensor, start: Tensor, *, backwards: bool = False) -> Tensor:
    """h_t = a_t h_{t-1} + b_t for each t; backwards: h_t = a_t h_{t+1} + b_t.

    a, b: (batch, time, width), 0 <= a <= 1. start: (batch, width), the state before the first step
    taken. Returns h, likewise. No gradient passes.

    The time is cut into pieces that are gone through together, once for what each does to a state
    (a product and a sum), and once more from the state that it then starts from: some 2 sqrt(2
    time) operations where a loop takes `time`. Nothing is divided by, so small `a` lose nothing.
    """
    time = b.shape[1]
    length = max(1, math.isqrt(time // 2))
    left_over = time % length
    h = torch.empty(b.shape, dtype=b.dtype, device=b.device)
    sizes = (left_over, time - left_over) if backwards else (time - left_over, left_over)
    parts = [each.split(sizes, dim=1) for each in (a, b, h)]
    pieces, rest = zip(*(each[::-1] if backwards else each for each in parts))
    cut = [each.unflatten(1, (-1, length)) for each in pieces]
    steps = _in_order(backwards, *(each.unbind(2) for each in cut))
    product, added, _ = steps[0]
    for a_t, b_t, _ in steps[1:]:
        product, added = product * a_t, torch.addcmul(b_t, a_t, added)
    starts = torch.empty_like(added)
    for product_of, added_by, piece in _in_order(
        backwards, product.unbind(1), added.unbind(1), starts.unbind(1)
    ):
        piece.copy_(start)
        start = torch.addcmul(added_by, product_of, start)
    _through(steps, starts)
    _through(_in_order(backwards, *(each.unbind(1) for each in rest)), start)
    return h


Steps = list[tuple[Tensor, Tensor, Tensor]]
"""a, b and the room for h of each step, in the order in which they are taken."""


def _in_order(backwards: bool, *parts: tuple[Tensor, ...]) -> Steps:
    steps = list(zip(*parts, strict=True))
    return steps[::-1] if backwards else steps


def _through(steps: Steps, state: Tensor) -> None:
    for a_t, b_t, h_t in steps:
        state = torch.addcmul(b_t, a_t, state, out=h_t)


class _Convolution(torch.autograd.Function):
    """`convolution`; PyTorch's takes two to eight times as long on a CPU."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, taps: Tensor) -> Tensor:
        ctx.save_for_backward(x, taps)
        mixed = x * taps[0]
        for back in range(1, len(taps)):
            mixed[:, back:].addcmul_(x[:, :-back], taps[back])
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, taps = ctx.saved_tensors
        to_x, to_taps = grad * taps[0], [(grad * x).sum((0, 1))]
        for back in range(1, len(taps)):
            to_x[:, :-back].addcmul_(grad[:, back:], taps[back])
            to_taps.append((grad[:, back:] * x[:, :-back]).sum((0, 1)))
        return to_x, torch.stack(to_taps)


@torch.compiler.disable
def convolution(x: Tensor, taps: Tensor) -> Tensor:
    """Each unit along time by itself: the sum of its last tokens, weighted.

    x: (batch, time, width); taps: (number, width), of which the first weighs the present token.
    """
    mixed: Tensor = _Convolution.apply(x, taps)
    return mixed
