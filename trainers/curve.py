"""The training curve of a cell: where its points are, and when it shows divergence."""

from __future__ import annotations

import math

from trainers.cell import Cell

POINTS_A_DOUBLING = 32
"""Points for each doubling of the steps, once there have been that many steps."""

ENOUGH_TOKENS = 16_384
"""Losses are averaged over this many tokens before they are compared: one batch says little."""

SPIKE_NATS = 0.5
"""A rise of the loss by less than this above its lowest is noise."""

ABSURD_NATS = 1000.0
"""Losses are capped here: one huge batch loss must not swallow the digits of the others."""

Point = dict[str, float]
"""One point of a training curve: tokens, train_loss (the mean since the previous point),
learning_rate, tokens_per_second, memory_mb, cpu_cores (processor time over wall time, of the first
worker), gpu_percent where there is one, and time (seconds since the epoch)."""


class DivergedError(RuntimeError):
    """The loss is not finite, or has risen far above guessing or its lowest; the message says
    which."""


def is_point(step: int) -> bool:
    """Whether a curve has a point after `step` steps, counted from 1.

    This does not depend on where a cell ends, so curves of all budgets have the same points: at
    first after every step, later `POINTS_A_DOUBLING` evenly spaced up to the next power of two.
    """
    return step % (1 << max(0, step.bit_length() - POINTS_A_DOUBLING.bit_length())) == 0


def averaged(curve: list[Point]) -> list[tuple[float, bool]]:
    """For each point, the mean loss over at least the last `ENOUGH_TOKENS`, and whether there have
    been that many; if not, it is the mean since the beginning."""
    nats, tokens, first = [0.0], [0.0], 0
    found = []
    for point in curve:
        loss = min(point["train_loss"], ABSURD_NATS)
        nats.append(nats[-1] + loss * (point["tokens"] - tokens[-1]))
        tokens.append(point["tokens"])
        while tokens[-1] - tokens[first + 1] >= ENOUGH_TOKENS:
            first += 1
        span = tokens[-1] - tokens[first]
        found.append(((nats[-1] - nats[first]) / span, span >= ENOUGH_TOKENS))
    return found


def check(point: Point, curve: list[Point], cell: Cell, past_warmup: bool) -> None:
    """Raise DivergedError if `point`, which follows `curve`, shows that the cell has diverged.

    A cell whose loss gives back half of what it had learnt may recover, but its final loss then
    reflects the accident and not its size.
    """
    at = f"after {point['tokens']:,} tokens at lr {cell.lr}"
    if not math.isfinite(point["train_loss"]):
        raise DivergedError(f"the loss became {point['train_loss']} {at}")
    *before, (loss, _) = averaged([*curve, point])
    guessing = math.log(cell.vocab_size)
    lowest = min([guessing, *(mean for mean, enough in before if enough)])
    if past_warmup and loss - lowest > max(SPIKE_NATS, (guessing - lowest) / 2):
        guess = f", which is worse than guessing ({guessing:.2f})" if loss > guessing else ""
        raise DivergedError(f"the loss rose from {lowest:.2f} to {loss:.2f} {at}{guess}")
