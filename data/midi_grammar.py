"""Which tokens of MidiTok's REMI and TSD may follow, so that each piece decodes as it was drawn.

MidiTok's own graph of token types comes first; beyond it a piece ends after a note, time goes
forwards, positions lie inside their bar, and no pitch of a program starts twice at one time.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from data.midi_tokenizers import MidiTokTokenizer

DRUMS = "-1"


class MidiGrammar:
    """One piece as it comes into being: see `data.abc_grammar.AbcGrammar`."""

    def __init__(self, tokenizer: MidiTokTokenizer, bars: int | None = None) -> None:
        self._tokenizer = tokenizer
        names = sorted(tokenizer.tokenizer.vocab, key=tokenizer.tokenizer.vocab.get)
        self._kinds, self._values = zip(*(name.split("_", 1) for name in names))
        graph = tokenizer.tokenizer.tokens_types_graph
        self._next = {kind: set(after) - {"PAD", "EOS"} for kind, after in graph.items()}
        self._next["BOS"] = {"Bar"} if tokenizer.name == "remi" else {"TimeSig"}
        self._limit = bars
        self._kind = ""
        self._bars = 0
        self._quarters = Fraction(4)
        """Of a bar."""
        self._position = -1
        self._time = Fraction(0)
        """Quarters since the beginning; TSD alone counts them."""
        self._program = ""
        self._started: set[tuple[str, str]] = set()

    @property
    def allowed(self) -> np.ndarray:
        """(vocab_size,) bool."""
        mask = np.zeros(len(self._kinds), bool)
        for index, (kind, value) in enumerate(zip(self._kinds, self._values)):
            mask[index] = self._may(kind, value)
        return mask

    def _may(self, kind: str, value: str) -> bool:
        if not self._kind:
            return kind == "BOS"
        if kind == "EOS":
            return self._kind == "Duration"
        if kind not in self._next[self._kind]:
            return False
        if kind == "Bar":
            return self._kind != "Bar" and (self._limit is None or self._bars < self._limit)
        if kind == "Position":
            room = self._quarters * self._tokenizer.ticks_per_quarter
            return self._position < int(value) < room and self._kind != "Position"
        if kind == "TimeSig":
            return self._kind == "Bar" or (self._tokenizer.name == "tsd" and self._kind == "BOS")
        if kind == "Tempo":
            return self._kind != "Tempo" and not self._started
        if kind == "TimeShift":
            after = self._time + _quarters(value)
            return self._limit is None or after < self._limit * self._quarters
        if kind in ("Pitch", "PitchDrum"):
            drum = self._program == DRUMS
            return drum == (kind == "PitchDrum") and (self._program, value) not in self._started
        return True

    def push(self, token: int) -> None:
        kind, value = self._kinds[token], self._values[token]
        if not self._may(kind, value):
            raise ValueError(f"{kind}_{value} cannot follow {self._kind or 'nothing'}")
        if kind == "Bar":
            self._bars, self._position = self._bars + 1, -1
        elif kind == "TimeSig":
            numerator, denominator = map(int, value.split("/"))
            self._quarters = Fraction(4 * numerator, denominator)
        elif kind == "Program":
            self._program = value
        elif kind in ("Pitch", "PitchDrum"):
            self._started.add((self._program, value))
        if kind in ("Bar", "Position", "TimeShift"):
            self._started = set()
        if kind == "Position":
            self._position = int(value)
        elif kind == "TimeShift":
            self._time += _quarters(value)
        self._kind = "" if kind == "EOS" else kind
        if kind == "EOS":
            self._next = {"": set()}

    def hurry(self) -> None:
        """End with the next note: it can come within five tokens."""
        self._limit = self._bars


def _quarters(value: str) -> Fraction:
    """MidiTok's `quarters.ticks.resolution`."""
    whole, part, resolution = map(int, value.split("."))
    return whole + Fraction(part, resolution)
