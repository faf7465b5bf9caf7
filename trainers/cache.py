"""Keys and values of the tokens read so far, so that a step only computes its own."""

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
