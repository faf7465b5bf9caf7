"""The bars of a growing piece of ABC, and the changes that all of its voices follow."""

from __future__ import annotations

import numpy as np

from data.abc.chords import NO_LIMIT, Voice
from data.music.maps import DEFAULT_BPM

MAX_SILENCE = 999
"""The most bars that one `Z` may count."""


class Bars:
    def __init__(self, ticks_per_quarter: int, limit: int | None) -> None:
        """limit: the most bars that the piece may have; None for no limit."""
        self.quarter = ticks_per_quarter
        self.limit = limit or NO_LIMIT
        self.lines = [0]
        """The ticks at which bars begin. No voice has yet gone past the last of them."""
        self.changes: dict[int, tuple[str, ...]] = {}
        """By the tick of a bar line, the tokens with which every voice states its changes."""
        self.declaring: Voice | None = None
        """The voice that may still add to the changes at the last bar line."""
        self.tempo, self.tempo_tick = DEFAULT_BPM, -1
        """The latest tempo, and the tick at which it was set."""

    def begin(self, end: int) -> None:
        """Enter the bar that ends at this tick; the first voice to do so adds its bar line."""
        if end > self.lines[-1]:
            self.lines.append(end)
            self.declaring = None

    def index(self, voice: Voice) -> int:
        """The number of the first bar line at or after the place where the voice stands."""
        return int(np.searchsorted(self.lines, voice.time))

    def index_of_end(self, voice: Voice) -> int:
        """The number of the bar line that closes the bar in which the voice stands."""
        return int(np.searchsorted(self.lines, voice.time, side="right"))

    def end(self, voice: Voice) -> int:
        """The tick at which the bar that begins where the voice stands will end."""
        index = self.index(voice)
        if index + 1 < len(self.lines):
            return self.lines[index + 1]
        numerator, denominator = voice.meter
        return voice.time + numerator * 4 * self.quarter // denominator

    def may_change_tempo(self, voice: Voice) -> bool:
        """Only the first voice sets the tempo, and at most once at any tick."""
        return voice.number == 1 and self.tempo_tick < voice.time

    def most_silent(self, voice: Voice) -> int:
        """How many bars may be counted as silent from here; never the last bar of the piece."""
        at, index = voice.time, self.index(voice)
        most = min(MAX_SILENCE, self.limit - 1 - index)
        ahead = [tick for tick in self.changes if tick > at]
        return min([most, *(self.lines.index(tick) - index for tick in ahead)])
