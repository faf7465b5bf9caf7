"""Next tokens foretold by counting what followed the same context: baselines that learn nothing.

All contexts of a token count, from none to the longest, each blended with those shorter than it:

    p(token | context) = (count of token + kinds * p(token | shorter)) / (count of all + kinds)

where `kinds` is how many different tokens have followed the context, and with no context at all
`shorter` is 1 / vocabulary. With contexts of up to n - 1 tokens this is the n-gram of Witten &
Bell (1991), interpolated. Without a limit it is PPM* by escape method C, blended (Cleary & Teahan
1997; for music Pearce & Wiggins 2004): it ends with the shortest context that only one token has
followed, or else the longest that has stood before.

Contexts begin within a piece, and its first token is not foretold. All tokens of a split are
worked on together, a length of context at a time: a context is known by the number of the one that
is a token shorter, and that token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.store.flat import Split

SHARE = 0.1
"""Of the weights in `mixed`, divided equally after each token, so that neither is ever lost."""


@dataclass(frozen=True)
class _Known:
    """Tokens, and the numbers of the contexts that they follow; each (n,)."""

    at: np.ndarray
    """The index of each token in its split."""
    context: np.ndarray

    def where(self, chosen: np.ndarray) -> _Known:
        return _Known(self.at[chosen], self.context[chosen])


def by_training(
    held_out: Split, train: Split, vocab_size: int, longest: int | None = None
) -> np.ndarray:
    """The probability of each token of `held_out`, (n,), from what followed in training.

    longest: tokens of the longest context; None for PPM*. That of the first token of a piece is 1.
    """
    tokens, depth, _ = _laid_out(held_out)
    seen, seen_depth, _ = _laid_out(train)
    found = np.where(depth > 0, 1 / vocab_size, 1.0)
    here, there = _beginning(depth), _beginning(seen_depth)
    length = 0
    while len(here.at):
        names, pairs = here.context, there.context * vocab_size + seen[there.at]
        total = np.bincount(there.context, minlength=names.max() + 1)[names]
        pair, count = np.unique(pairs, return_counts=True)
        kinds = np.bincount(pair // vocab_size, minlength=names.max() + 1)[names]
        followed = _looked_up(pair, count, names * vocab_size + tokens[here.at])
        stood = total > 0
        blended = (followed + kinds * found[here.at])[stood] / (total + kinds)[stood]
        found[here.at[stood]] = blended
        length += 1
        if longest is not None and length > longest:
            break
        # PPM* is sure where one token alone has followed, and looks no further.
        left = stood if longest is not None else stood & (kinds > 1)
        here = here.where(left & (depth[here.at] >= length))
        there = there.where(seen_depth[there.at] >= length)
        longer, context = np.unique(_longer(here, tokens, length, vocab_size), return_inverse=True)
        wanted = _longer(there, seen, length, vocab_size)
        place = _looked_up(longer, np.arange(len(longer)), wanted, missing=-1)
        here = _Known(here.at, context)
        there = _Known(there.at, place).where(place >= 0)
    return found


def by_piece(held_out: Split, vocab_size: int) -> np.ndarray:
    """The probability of each token of `held_out`, (n,), by PPM* that knows the piece so far alone.

    That of the first token of a piece is 1.
    """
    tokens, depth, piece = _laid_out(held_out)
    found = np.where(depth > 0, 1 / vocab_size, 1.0)
    here = _beginning(depth)
    # A context is one of a piece; no two pieces share any.
    here = _Known(here.at, piece[here.at])
    # A token that is foretold already still is what has stood before others.
    going = np.ones(len(here.at), bool)
    length = 0
    while going.any():
        pairs = here.context * vocab_size + tokens[here.at]
        total, followed = _before(here.context), _before(pairs)
        kinds = _before(here.context, followed == 0)
        stood = going & (total > 0)
        blended = (followed + kinds * found[here.at])[stood] / (total + kinds)[stood]
        found[here.at[stood]] = blended
        going = stood & (kinds > 1)
        length += 1
        several = np.bincount(here.context)[here.context] > 1
        left = several & (depth[here.at] >= length)
        here, going = here.where(left), going[left]
        longer = _longer(here, tokens, length, vocab_size)
        here = _Known(here.at, np.unique(longer, return_inverse=True)[1])
    return found


def mixed(first: np.ndarray, second: np.ndarray, held_out: Split) -> np.ndarray:
    """The probabilities of two ways to foretell, (n,) each, mixed: the one that has foretold the
    piece better of late weighs more (fixed share: Herbster & Warmuth 1998)."""
    lengths = np.diff(held_out.starts)
    weight, found = np.full(len(lengths), 0.5), np.ones(len(first))
    for place in range(1, int(lengths.max(initial=0))):
        piece = np.flatnonzero(lengths > place)
        at = held_out.starts[piece] + place
        found[at] = weight[piece] * first[at] + (1 - weight[piece]) * second[at]
        after = weight[piece] * first[at] / found[at]
        weight[piece] = (1 - SHARE) * after + SHARE / 2
    return found


def _laid_out(split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each token, (n,) int64 each: its id, how many stand before it in its piece, the piece."""
    lengths = np.diff(split.starts)
    depth = np.arange(len(split.tokens)) - np.repeat(split.starts[:-1], lengths)
    return split.tokens.astype(np.int64), depth, np.repeat(np.arange(len(lengths)), lengths)


def _beginning(depth: np.ndarray) -> _Known:
    """All tokens but the first of a piece, after no context."""
    at = np.flatnonzero(depth > 0)
    return _Known(at, np.zeros(len(at), np.int64))


def _longer(known: _Known, tokens: np.ndarray, length: int, vocab_size: int) -> np.ndarray:
    """Keys of contexts of `length` tokens, (n,)."""
    return known.context * vocab_size + tokens[known.at - length]


def _looked_up(
    keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, missing: int = 0
) -> np.ndarray:
    """The value of each wanted key, (n,); keys: rising."""
    if not len(keys):
        return np.full(len(wanted), missing)
    place = np.searchsorted(keys[:-1], wanted)
    return np.where(keys[place] == wanted, values[place], missing)


def _before(keys: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """How many of those before each have the same key, (n,).

    counted: (n,) bool, which of them count; None for all.
    """
    order = np.argsort(keys, kind="stable")
    ordered = np.ones(len(keys), np.int64) if counted is None else counted[order].astype(np.int64)
    running = np.cumsum(ordered) - ordered
    begins = np.diff(keys[order], prepend=-1) != 0
    first = np.maximum.accumulate(np.where(begins, np.arange(len(keys)), 0))
    found = np.empty(len(keys), np.int64)
    found[order] = running - running[first]
    return found
