"""The loss over a whole split: every token scored once, weighted alike, nothing skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from data.store.flat import Split
from trainers.batches import IGNORED
from trainers.losses import Losses


@dataclass(frozen=True)
class Parts:
    """A division of a split's tokens, of which each part has its own loss."""

    names: tuple[str, ...]
    of: np.ndarray
    """(n,) uint8: the index in `names` of each token of the split."""


def evaluate(
    model: nn.Module,
    split: Split,
    context: int,
    windows: int,
    device: torch.device,
    divisions: Sequence[Parts] = (),
) -> tuple[dict[str, float], Losses]:
    """The measurements of the split, and its losses by piece.

    The measurements are those of `summarise`, `by_position` and, for each of `divisions`,
    `by_part`.

    Each piece is scored from its own beginning. A piece longer than the context is read in windows
    that overlap by half, so that after the first window every scored token has at least half a
    context before it.
    """
    nats, seen = token_nats(model, split, context, windows, device)
    losses = by_piece(nats, split)
    measured = summarise(losses) | by_position(nats, seen)
    for parts in divisions:
        measured |= by_part(nats, split, parts)
    return measured, losses


@torch.no_grad()
def token_nats(
    model: nn.Module, split: Split, context: int, windows: int, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Of each token of the split, (n,) each: its nats, and how many tokens the model saw before it.

    Both are 0 for the first token of a piece, which is not scored.
    """
    model.eval()
    nats = np.zeros(len(split.tokens))
    seen = np.zeros(len(split.tokens), np.int64)
    for inputs, targets, places in _batches(split, context, windows):
        logits = model(torch.from_numpy(inputs).to(device))
        each = F.cross_entropy(
            logits.float().flatten(0, 1),
            torch.from_numpy(targets).to(device).flatten(),
            reduction="none",
        )
        row, column = np.nonzero(targets != IGNORED)
        here = places[row, column]
        nats[here] = each.view(targets.shape).double().cpu().numpy()[row, column]
        seen[here] = column + 1
    model.train()
    return nats, seen


def scored(split: Split) -> np.ndarray:
    """(n,) bool: whether a token of the split is scored, as all but the first of a piece are."""
    found = np.ones(len(split.tokens), bool)
    found[split.starts[:-1]] = False
    return found


def by_piece(nats: np.ndarray, split: Split) -> Losses:
    """The losses of a split whose tokens cost `nats`, (n,), by piece."""
    summed = np.add.reduceat(nats, split.starts[:-1])
    tokens = np.diff(split.starts) - 1
    return Losses(summed, tokens, split.num_notes, split.seconds, split.groups)


def by_part(nats: np.ndarray, split: Split, parts: Parts) -> dict[str, float]:
    """Of each part that is there: the loss on its tokens, `loss_PART`, in nats per token; its
    standard error; and the share of the split's tokens that it has, `loss_PART_share`.

    nats: (n,). Losses times shares add up to the loss of the split.
    """
    piece = np.repeat(np.arange(len(split.starts) - 1), np.diff(split.starts))
    here, number = scored(split), len(parts.names)
    cell = piece[here] * number + parts.of[here]
    shape = (len(split.starts) - 1, number)
    tokens = np.bincount(cell, minlength=shape[0] * number).reshape(shape)
    summed = np.bincount(cell, nats[here], minlength=shape[0] * number).reshape(shape)
    measured: dict[str, float] = {}
    whole = by_piece(nats, split)
    for part, name in enumerate(parts.names):
        if tokens[:, part].any():
            loss, error = per(replace(whole, nats=summed[:, part]), tokens[:, part])
            share = float(tokens[:, part].sum() / tokens.sum())
            measured |= {
                f"loss_{name}": loss,
                f"loss_{name}_se": error,
                f"loss_{name}_share": share,
            }
    return measured


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


def by_position(nats: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """`loss_at_1`, `loss_at_2`, `loss_at_4` ...: the loss on tokens that have at least that many
    tokens before them, but fewer than twice as many.

    nats, seen: (n,), as of `token_nats`.
    """
    octave = np.frexp(seen)[1]
    totals, counts = np.bincount(octave, nats), np.bincount(octave)
    return {
        f"loss_at_{2 ** (number - 1)}": float(total / count)
        for number, (total, count) in enumerate(zip(totals, counts))
        if number and count
    }


def _batches(
    split: Split, context: int, windows: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Inputs, targets, and the places of the targets in the split, (windows, time) each; the
    padding is not scored.

    Windows of similar length share a batch, to keep padding small.
    """
    spans = sorted(_spans(split.starts, context), key=lambda span: span[1] - span[0])
    for first in range(0, len(spans), windows):
        group = spans[first : first + windows]
        time = max(stop - start for start, stop, _ in group) - 1
        inputs = np.zeros((len(group), time), dtype=np.int64)
        targets = np.full((len(group), time), IGNORED, dtype=np.int64)
        for row, (start, stop, scored_from) in enumerate(group):
            tokens = split.tokens[start:stop]
            inputs[row, : len(tokens) - 1] = tokens[:-1]
            targets[row, scored_from : len(tokens) - 1] = tokens[1 + scored_from :]
        first_places = np.array([[start + 1] for start, *_ in group])
        yield inputs, targets, first_places + np.arange(time)


def _spans(starts: np.ndarray, context: int) -> Iterator[tuple[int, int, int]]:
    """(start, stop, first scored target) of each window: context + 1 tokens at most."""
    stride = max(1, context // 2)
    for begin, end in pairwise(starts.tolist()):
        scored_to = begin + 1
        while scored_to < end:
            # The first window scores all it holds, later ones what the one before did not reach.
            start = begin if scored_to == begin + 1 else scored_to - 1 - (context - stride)
            stop = min(start + context + 1, end)
            yield start, stop, scored_to - start - 1
            scored_to = stop
