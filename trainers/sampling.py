"""Sampling from a trained model: one step per token, batched, each row from its own seed.

A model's `step` carries its state (keys and values, or an LSTM's), so the cost of a token does not
grow with the number before it. When the context is full, its last half is read again into a fresh
state: as in `trainers.evaluate`, a token then has at least half a context before it, and no model
looks back further than it was trained to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn


class Model(Protocol):
    """What the models in `trainers/models` offer."""

    def step(self, token: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def eval(self) -> Any: ...


class Grammar(Protocol):
    """Follows one piece as it is written, like `data.abc.grammar`."""

    @property
    def allowed(self) -> np.ndarray:
        """(vocab_size,) bool: what may come next."""
        ...

    def push(self, token: int) -> None: ...

    def hurry(self) -> None:
        """From now on, allow only what leads to an end."""
        ...


@dataclass(frozen=True)
class Draw:
    """How a token is drawn from the model's distribution."""

    temperature: float = 1.0
    """Logits are divided by this; 0 takes the likeliest token."""
    top_k: int = 0
    """Keep this many of the likeliest tokens; 0 keeps all (Fan et al. 2018)."""
    top_p: float = 1.0
    """Keep the likeliest tokens that together reach this probability (Holtzman et al. 2020)."""
    min_p: float = 0.0
    """Keep tokens of at least this share of the likeliest's probability (Nguyen et al. 2024)."""

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and self.top_k >= 0):
            raise ValueError("temperature and top-k must not be negative")
        if not (0 < self.top_p <= 1 and 0 <= self.min_p <= 1):
            raise ValueError("top-p must lie in (0, 1], min-p in [0, 1]")


@dataclass(frozen=True)
class Sample:
    tokens: np.ndarray
    """(n,) uint16, the prompt included."""
    log_probability: float
    """Of what follows the prompt, in nats, under the model's own unfiltered distribution."""
    prompt: int
    """How many tokens were given."""
    complete: bool
    """Whether it ends with the tokenizer's end token."""


def probabilities(logits: np.ndarray, draw: Draw, allowed: np.ndarray | None = None) -> np.ndarray:
    """logits, allowed: (batch, vocab) -> probabilities to draw from, float64, rows sum to 1.

    The grammar applies first, then the temperature, then the filters.
    """
    logits = logits.astype(np.float64)
    if allowed is not None:
        logits = np.where(allowed, logits, -np.inf)
    if draw.temperature == 0:
        return np.eye(logits.shape[1])[logits.argmax(axis=1)]
    p = _softmax(logits / draw.temperature)
    likeliest = p.max(axis=1, keepdims=True)
    keep = (p >= draw.min_p * likeliest) & (p > 0)
    if 0 < draw.top_k < p.shape[1] or draw.top_p < 1:
        order = np.argsort(-p, axis=1, kind="stable")
        ranked = np.take_along_axis(p, order, axis=1)
        kept = np.ones_like(keep)
        if draw.top_k:
            kept[:, draw.top_k :] = False
        # A token stays if those likelier than it do not reach top_p: the first always stays.
        kept &= np.cumsum(ranked, axis=1) - ranked < draw.top_p
        inverse = np.argsort(order, axis=1, kind="stable")
        keep &= np.take_along_axis(kept, inverse, axis=1)
    p = np.where(keep, p, 0)
    return p / p.sum(axis=1, keepdims=True)


@torch.no_grad()
def sample(
    model: Model,
    prompts: Sequence[np.ndarray],
    seeds: Sequence[int],
    eos_id: int,
    *,
    context: int,
    max_tokens: int,
    draw: Draw,
    grammar: Callable[[], Grammar] | None = None,
) -> list[Sample]:
    """Continue each prompt, (n,) ids that start at the beginning of a piece, until the piece ends.

    A row depends on its own prompt and seed only, not on its neighbours (except through rounding in
    the matrix products). Without a grammar it stops at `max_tokens`. With one it is cut back there
    to the last place where it could have ended, or steered to an end if there is none, and so is
    always complete.
    Raises ValueError if a prompt does not follow the grammar.
    """
    model.eval()
    device = next(model.parameters()).device
    if device.type == "cpu":
        lay_out_for_steps(model)
    rows = [
        _Row(list(map(int, prompt)), np.random.default_rng(seed), grammar() if grammar else None)
        for prompt, seed in zip(prompts, seeds)
    ]
    begin, read, state = 0, 0, None
    logits = torch.empty(0)
    while any(row.open for row in rows):
        # Read each row's token number `read`, drawn or of its prompt; the state holds those from
        # `begin` on.
        start = read
        if read - begin == context:
            state, begin = None, read - context // 2
            start = begin
        for position in range(start, read + 1):
            column = torch.tensor([row.tokens[min(position, len(row.tokens) - 1)] for row in rows])
            logits, state = model.step(column.to(device), state)
        read += 1
        _extend(rows, logits.float().cpu().numpy(), read, eos_id, max_tokens, draw)
    return [row.sample(eos_id) for row in rows]


def lay_out_for_steps(model: Model) -> None:
    """Store matrices by columns, values unchanged: on CPUs this halves the time of a matrix-vector
    product.

    Forward passes over many tokens are not affected.
    """
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data = parameter.data.t().contiguous().t()


class _Row:
    def __init__(
        self, tokens: list[int], generator: np.random.Generator, grammar: Grammar | None
    ) -> None:
        self.tokens, self.generator, self.grammar = tokens, generator, grammar
        self.prompt = len(tokens)
        self.nats: list[float] = []
        self.open = True
        self.could_end = 0
        """The number of tokens after which the end was last allowed."""
        if grammar:
            for token in tokens:
                grammar.push(token)

    def allowed(self, eos_id: int) -> np.ndarray | None:
        """(vocabulary,) bool: what may come next; None for anything. What was given to be gone on
        from does not end at once."""
        if self.grammar is None:
            return None
        if 1 < len(self.tokens) == self.prompt and self.grammar.allowed.sum() > 1:
            mask = self.grammar.allowed.copy()
            mask[eos_id] = False
            return mask
        return self.grammar.allowed

    def take(self, token: int, log_probability: float, eos_id: int) -> None:
        could_end = self.grammar and self.grammar.allowed[eos_id] and token != eos_id
        if could_end and not 1 < len(self.tokens) == self.prompt:
            self.could_end = len(self.tokens)
        self.tokens.append(token)
        self.nats.append(log_probability)
        if self.grammar:
            self.grammar.push(token)
        self.open = token != eos_id

    def stop(self) -> None:
        """End the row, or steer it to an end, because the limit is reached."""
        if self.grammar and not self.could_end:
            self.grammar.hurry()
            return
        self.open = False

    def sample(self, eos_id: int) -> Sample:
        tokens, nats = self.tokens, self.nats
        if tokens[-1] != eos_id and self.could_end:
            tokens = [*tokens[: self.could_end], eos_id]
            nats = nats[: self.could_end - self.prompt]
        return Sample(
            np.array(tokens, np.uint16), float(sum(nats)), self.prompt, tokens[-1] == eos_id
        )


def _extend(
    rows: list[_Row], logits: np.ndarray, read: int, eos_id: int, max_tokens: int, draw: Draw
) -> None:
    """Draw the next token of each row that is still open and has been read to its end."""
    ready = [index for index, row in enumerate(rows) if row.open and len(row.tokens) == read]
    for index in [index for index in ready if read >= max_tokens]:
        rows[index].stop()
    ready = [index for index in ready if rows[index].open]
    if not ready:
        return
    masks = [mask for index in ready if (mask := rows[index].allowed(eos_id)) is not None]
    p = probabilities(logits[ready], draw, np.array(masks) if masks else None)
    own = np.log(_softmax(logits[ready].astype(np.float64)))
    for index, row_p, row_own in zip(ready, p, own):
        # Inverse transform sampling: one uniform number per token.
        edges = np.cumsum(row_p)
        token = int(np.searchsorted(edges, rows[index].generator.random() * edges[-1], "right"))
        rows[index].take(token, float(row_own[token]), eos_id)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
