"""The bars of a piece of ABC as they come into being, and the changes that all voices follow."""

from __future__ import annotations

import numpy as np

from data.abc.chords import NO_LIMIT, Voice
from data.music.maps import DEFAULT_BPM

MAX_SILENCE = 999
"""Bars that one `Z` counts."""


class Bars:
    def __init__(self, ticks_per_quarter: int, limit: int | None) -> None:
        """limit: how many bars there may be; None for any number."""
        self.quarter = ticks_per_quarter
        self.limit = limit or NO_LIMIT
        self.lines = [0]
        """Ticks at which bars begin; no voice has passed the last of them yet."""
        self.changes: dict[int, tuple[str, ...]] = {}
        """By the tick of a bar line, the tokens with which each voice announces what changes."""
        self.declaring: Voice | None = None
        """The voice that may still add to the changes at the last bar line."""
        self.tempo, self.tempo_tick = DEFAULT_BPM, -1
        """The last tempo, and the tick at which it was written."""

    def begin(self, end: int) -> None:
        """A bar that ends at this tick is entered, perhaps as the first voice to do so."""
        if end > self.lines[-1]:
            self.lines.append(end)
            self.declaring = None

    def index(self, voice: Voice) -> int:
        return int(np.searchsorted(self.lines, voice.time))

    def index_of_end(self, voice: Voice) -> int:
        """The number of the bar line that ends the bar in which the voice stands."""
        return int(np.searchsorted(self.lines, voice.time, side="right"))

    def end(self, voice: Voice) -> int:
        index = self.index(voice)
        if index + 1 < len(self.lines):
            return self.lines[index + 1]
        numerator, denominator = voice.meter
        return voice.time + numerator * 4 * self.quarter // denominator

    def may_change_tempo(self, voice: Voice) -> bool:
        return voice.number == 1 and self.tempo_tick < voice.time

    def most_silent(self, voice: Voice) -> int:
        """How many bars may be counted as silent; the last of a piece never."""
        at, index = voice.time, self.index(voice)
        most = min(MAX_SILENCE, self.limit - 1 - index)
        ahead = [tick for tick in self.changes if tick > at]
        return min([most, *(self.lines.index(tick) - index for tick in ahead)])
