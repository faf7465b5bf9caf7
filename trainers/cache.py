"""Keys and values of tokens read so far, so that a step only computes its own: all, or the last."""

from __future__ import annotations

from torch import Tensor


class Cache:
    """The cache of one layer, updated in place: a token costs no copy of those before it."""

    def __init__(self) -> None:
        self.length = 0
        self._room: tuple[Tensor, Tensor] | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, heads, time, head_dim) each: the new ones -> all so far."""
        old, self.length = self.length, self.length + keys.shape[2]
        if self._room is None or self.length > self._room[0].shape[2]:
            self._grow(keys)
        assert self._room is not None
        for room, new in zip(self._room, (keys, values)):
            room[:, :, old : self.length] = new
        all_keys, all_values = (room[:, :, : self.length] for room in self._room)
        return all_keys, all_values

    def _grow(self, like: Tensor) -> None:
        """Make room for twice what is needed, so that copying costs at most one copy per token."""
        batch, heads, _, head_dim = like.shape
        bigger = tuple(like.new_empty(batch, heads, 2 * self.length, head_dim) for _ in range(2))
        for room, former in zip(bigger, self._room or ()):
            room[:, :, : former.shape[2]] = former
        self._room = bigger[0], bigger[1]


class Ring:
    """The cache of a layer that looks back on `window` tokens, of one size; updated in place."""

    def __init__(self, window: int) -> None:
        self.length = 0
        """Tokens read so far, those forgotten among them."""
        self._window = window
        self._room: tuple[Tensor, Tensor] | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, heads, 1, head_dim) each: those of one token -> those of the last `window`, in
        any order."""
        if self._room is None:
            batch, heads, _, head_dim = keys.shape
            size = batch, heads, self._window, head_dim
            self._room = keys.new_empty(size), values.new_empty(size)
        place = self.length % self._window
        for room, new in zip(self._room, (keys, values)):
            room[:, :, place : place + 1] = new
        self.length += 1
        last_keys, last_values = (room[:, :, : self.length] for room in self._room)
        return last_keys, last_values
