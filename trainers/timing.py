"""Which kernels are the fastest for a shape on this CPU: by steps that take turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from data.errors import one_line
from trainers.attention import BLOCK, CausalAttention, kept_numbers
from trainers.cell import Cell
from trainers.chosen_kernels import Kernels
from trainers.gradients import NO_TOKEN, summed_nats
from trainers.linear import ONEDNN_FROM, PRODUCTS, Linear

CPU = torch.device("cpu")

SECONDS, FEWEST, MOST = 0.5, 5, 20
"""How long contenders take turns, and how many turns each has, after one that is not counted."""

ENOUGH_FLOPS = 2e10
"""Of a step, to tell how fast larger batches are: a fifth of a second."""

KEPT_BYTES = 2**29
"""What attention in blocks may keep for the backward pass, in all layers."""

COMPILE_SECONDS, USUAL_GAIN = 15.0, 1.2
"""Of one core: what compiling takes, and how many times faster a step then is, both as measured
(docs/experiments/trainers.md). Deeper models take longer, and train longer."""


def fastest(model: nn.Module, cell: Cell, rows: int) -> Kernels:
    """The kernels with which a step takes the least time, not compiled, which is not tried.

    model: to be trained on so many rows of the cell's context at once.
    """
    chosen = Kernels(compiled=None)
    few = int(ENOUGH_FLOPS / (cell.context * cell.rung.flops_per_token(cell.context)))
    call = step(model, cell, max(1, min(rows, few)))
    for field, values in candidates(model, cell, rows).items():

        def with_value(value: str, field: str = field, before: Kernels = chosen) -> None:
            replace(before, **{field: value}).set_on(model)  # type: ignore[arg-type]
            call()

        seconds = in_turns({value: partial(with_value, value) for value in values})
        chosen = replace(chosen, **{field: min(seconds, key=seconds.__getitem__)})  # type: ignore
    return chosen


def candidates(model: nn.Module, cell: Cell, rows: int) -> dict[str, tuple[str, ...]]:
    """The values of each field of `Kernels` that make a difference."""
    found: dict[str, tuple[str, ...]] = {}
    tokens = rows * cell.context
    linears = [part for part in model.modules() if isinstance(part, Linear)]
    largest = max((tokens * part.in_features * part.out_features for part in linears), default=0)
    onednn = torch.backends.mkldnn.is_available() and cell.precision == "fp32"
    if onednn and largest >= ONEDNN_FROM:
        found["product"] = PRODUCTS
    n_layers = sum(isinstance(part, CausalAttention) for part in model.modules())
    # In one or two blocks there is little behind the diagonal to leave out.
    if n_layers and cell.context > 2 * BLOCK:
        heads = cell.rung.shape.n_heads
        if 4 * n_layers * kept_numbers(rows, heads, cell.context) <= KEPT_BYTES:
            found["attention"] = ("sdpa", "blocks")
    return found


def compiling_pays(
    model: nn.Module, compile: Callable[[], nn.Module], cell: Cell, rows: int, steps: int
) -> bool | None:
    """Whether the model is faster when compiled; None if so few steps are left that compiling would
    take longer than it can save, and was not tried."""
    eager = step(model, cell, rows)
    seconds = in_turns({"eager": eager})["eager"]
    micro_batches = cell.batch_tokens // (rows * cell.context)
    left = steps * max(1, micro_batches) * seconds
    if left * (1 - 1 / USUAL_GAIN) < COMPILE_SECONDS:
        return None
    compiled = compile()
    if fault(compiled, cell, rows):
        return False
    found = in_turns({"eager": eager, "compiled": step(compiled, cell, rows)})
    return found["compiled"] < found["eager"]


def fault(compiled: nn.Module, cell: Cell, rows: int) -> str:
    """Why it cannot be compiled here, in one line, which is printed; "" if it can."""
    try:
        step(compiled, cell, rows)()
    except Exception as error:  # Of many kinds: no C++ compiler, an operator that it does not know.
        said = one_line(error)
        print(f"{cell.name} is trained without being compiled: {said}", file=sys.stderr)
        return said
    return ""


def step(model: nn.Module, cell: Cell, rows: int) -> Callable[[], None]:
    """A forward and a backward pass."""
    tokens = np.zeros((rows, cell.context), np.uint16)

    def call() -> None:
        summed_nats(model, tokens, tokens, NO_TOKEN, CPU, cell.precision).backward()
        model.zero_grad(set_to_none=True)

    return call


def in_turns(contenders: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """The least seconds of each. Every turn begins with another: what else the machine does slows
    down all of them."""
    names, seconds = list(contenders), {name: [float("inf")] for name in contenders}
    began = time.perf_counter()
    for turn in range(MOST + 1):
        if turn > FEWEST and time.perf_counter() - began > SECONDS:
            break
        names.append(names.pop(0))
        for name in names:
            started = time.perf_counter()
            contenders[name]()
            # The first call makes workspaces, and compiles.
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: min(found) for name, found in seconds.items()}
