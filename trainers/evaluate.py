"""The loss over a whole split: every token scored once, weighted alike, nothing skipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from data.store.flat import Split
from trainers.batches import IGNORED
from trainers.losses import Losses


@torch.no_grad()
def evaluate(
    model: nn.Module, split: Split, context: int, windows: int, device: torch.device
) -> tuple[dict[str, float], Losses]:
    """The measurements of the split, and its losses by piece.

    The measurements are those of `summarise`, and `loss_at_1`, `loss_at_2`, `loss_at_4` ...: the
    loss on tokens that have at least that many tokens before them, but fewer than twice as many.

    Each piece is scored from its own beginning. A piece longer than the context is read in windows
    that overlap by half, so that after the first window every scored token has at least half a
    context before it.
    """
    model.eval()
    nats = np.zeros(len(split.num_notes))
    scored = np.zeros(len(split.num_notes), dtype=np.int64)
    nats_at, scored_at = np.zeros(context), np.zeros(context, dtype=np.int64)
    for pieces, inputs, targets in _batches(split, context, windows):
        logits = model(torch.from_numpy(inputs).to(device))
        each = F.cross_entropy(
            logits.float().flatten(0, 1),
            torch.from_numpy(targets).to(device).flatten(),
            reduction="none",
        )
        found = each.view(targets.shape).double().cpu().numpy()
        time = targets.shape[1]
        np.add.at(nats, pieces, found.sum(axis=1))
        np.add.at(scored, pieces, (targets != IGNORED).sum(axis=1))
        nats_at[:time] += found.sum(axis=0)
        scored_at[:time] += (targets != IGNORED).sum(axis=0)
    model.train()
    losses = Losses(nats, scored, split.num_notes, split.seconds, split.groups)
    return summarise(losses) | by_position(nats_at, scored_at), losses


def summarise(losses: Losses) -> dict[str, float]:
    """The split's losses in nats per token, per note and per second of music, and the numbers of
    its pieces and works."""
    loss, error = per(losses, losses.tokens)
    return {
        "loss": loss,
        "loss_se": error,
        "loss_per_note": per(losses, losses.notes)[0],
        "loss_per_second": per(losses, losses.seconds)[0],
        "pieces": len(losses.nats),
        "works": len(np.unique(losses.groups)),
    }


def per(losses: Losses, amounts: np.ndarray) -> tuple[float, float]:
    """Nats per unit of which the pieces hold `amounts`, (pieces,), and the standard error.

    The error is that of a ratio of sums over works drawn independently, each with all its
    pieces (Cochran 1977, section 6.3), because tokens of one piece are not independent of each
    other, and neither are versions of one work.
    """
    whole = amounts.sum()
    loss = losses.nats.sum() / whole
    _, work = np.unique(losses.groups, return_inverse=True)
    spread = np.bincount(work, losses.nats - loss * amounts)
    works = len(spread)
    error = np.sqrt((spread**2).sum() / max(works - 1, 1) * works) / whole
    return float(loss), float(error)


def by_position(nats: np.ndarray, scored: np.ndarray) -> dict[str, float]:
    """The mean loss by octave of the number of tokens seen before.

    nats, scored: (context,) sums over the tokens with index + 1 tokens before them.
    """
    starts = 2 ** np.arange(len(nats).bit_length()) - 1
    totals, counts = np.add.reduceat(nats, starts), np.add.reduceat(scored, starts)
    return {
        f"loss_at_{start + 1}": float(total / count)
        for start, total, count in zip(starts, totals, counts)
        if count
    }


def _batches(
    split: Split, context: int, windows: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Piece numbers (windows,), inputs and targets (windows, time), the padding not scored.

    Windows of similar length share a batch, to keep padding small.
    """
    spans = sorted(_spans(split.starts, context), key=lambda span: span[2] - span[1])
    for first in range(0, len(spans), windows):
        group = spans[first : first + windows]
        time = max(stop - start for _, start, stop, _ in group) - 1
        inputs = np.zeros((len(group), time), dtype=np.int64)
        targets = np.full((len(group), time), IGNORED, dtype=np.int64)
        for row, (_, start, stop, scored_from) in enumerate(group):
            tokens = split.tokens[start:stop]
            inputs[row, : len(tokens) - 1] = tokens[:-1]
            targets[row, scored_from : len(tokens) - 1] = tokens[1 + scored_from :]
        yield np.array([piece for piece, *_ in group]), inputs, targets


def _spans(starts: np.ndarray, context: int) -> Iterator[tuple[int, int, int, int]]:
    """(piece, start, stop, first scored target) of each window: context + 1 tokens at most."""
    stride = max(1, context // 2)
    for piece, (begin, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist())):
        scored_to = begin + 1
        while scored_to < end:
            # The first window scores all it holds, later ones what the one before did not reach.
            start = begin if scored_to == begin + 1 else scored_to - 1 - (context - stride)
            stop = min(start + context + 1, end)
            yield piece, start, stop, scored_to - start - 1
            scored_to = stop
