"""How much of a piece was copied from the training split, in whatever key.

What is compared are the runs of `data.works.signatures`: intervals of each track's top line, so a
copy is found transposed too. Rhythm is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from data.works.signatures import GRAM


@dataclass(frozen=True)
class Novelty:
    copied: float
    """The share of the piece's runs that training holds; NaN for a piece of under nine notes."""
    longest: int
    """Notes of the longest passage that stands so in one training piece; 0 if under nine."""


@dataclass(frozen=True)
class Index:
    run: np.ndarray
    """(n,) uint64, every run of the training split, sorted."""
    place: np.ndarray
    """(n,) int64: neighbours in a piece are neighbours here, pieces are apart."""

    @classmethod
    def of(cls, lines: np.ndarray) -> Index:
        """lines: the runs of each track of each piece, (m,) uint64, from `joined`."""
        place = np.flatnonzero(_whole(lines))
        run = lines[place]
        # Stable: places stay in order within a run.
        order = np.argsort(run, kind="stable")
        return cls(run[order], place[order])

    def novelty(self, lines: list[np.ndarray]) -> Novelty:
        """Of one piece, by the runs of its tracks."""
        found = hits = longest = 0
        for line in (line[_whole(line)] for line in lines):
            low = np.searchsorted(self.run, line, side="left")
            high = np.searchsorted(self.run, line, side="right")
            found, hits = found + len(line), hits + int((high > low).sum())
            before: dict[int, int] = {}
            for start, stop in zip(low.tolist(), high.tolist()):
                # A passage goes on where training goes on with the same run.
                now = {p: before.get(p - 1, 0) + 1 for p in self.place[start:stop].tolist()}
                longest, before = max(longest, max(now.values(), default=0)), now
        share = hits / found if found else float("nan")
        # A run of eight intervals is nine notes.
        return Novelty(share, longest + GRAM if longest else 0)


def joined(lines: Iterable[np.ndarray]) -> np.ndarray:
    """Lines of runs, one after the other and apart: (n,) uint64.

    lines: of `data.works.signatures.lines`, or what this has joined already.
    """
    parts = [np.empty(0, np.uint64)]
    for line in lines:
        parts += [line, _BREAK]
    return np.concatenate(parts)


_BREAK = np.array([127 << 56], np.uint64)


def _whole(line: np.ndarray) -> np.ndarray:
    """(n,) bool: not the one run of a line too short for any, which is filled up with leaps."""
    return line >> np.uint64(56) != 127
