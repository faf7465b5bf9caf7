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
    def of(cls, lines: Iterable[np.ndarray]) -> Index:
        """lines: the runs of each track of each piece, from `data.works.signatures.lines`."""
        found, places, at = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], 0
        for line in lines:
            found.append(_whole(line))
            places.append(np.arange(at, at + len(found[-1])))
            at += len(found[-1]) + 1
        run, place = np.concatenate(found), np.concatenate(places)
        order = np.lexsort((place, run))
        return cls(run[order], place[order])

    def novelty(self, lines: list[np.ndarray]) -> Novelty:
        """Of one piece, by the runs of its tracks."""
        found = hits = longest = 0
        for line in map(_whole, lines):
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


def _whole(line: np.ndarray) -> np.ndarray:
    """Without the one run of a line that is too short for any: it is filled up with leaps."""
    return line[line >> np.uint64(56) != 127]
