"""Which tokens of MidiTok's REMI and TSD may follow, so that each piece decodes as it was drawn.

MidiTok's own graph of token types comes first; beyond it a piece ends after a note, time goes
forwards, positions lie inside their bar, and no pitch of a program starts twice at one time.
MidiTok divides the beat of the meter and we the quarter, so that in 6/8 it could say what is
between two of our ticks: such times are left out.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from data.tokens.remi_tsd import MidiTokTokenizer

DRUMS = "-1"


class MidiGrammar:
    """One piece as it comes into being: see `data.abc.grammar.AbcGrammar`."""

    def __init__(self, tokenizer: MidiTokTokenizer, bars: int | None = None) -> None:
        self._tokenizer = tokenizer
        names = sorted(tokenizer.tokenizer.vocab, key=tokenizer.tokenizer.vocab.get)
        self._kinds, self._values = zip(*(name.split("_", 1) for name in names))
        self._of_kind = {
            kind: [index for index, each in enumerate(self._kinds) if each == kind]
            for kind in set(self._kinds)
        }
        graph = tokenizer.tokenizer.tokens_types_graph
        self._next = {
            kind: set(after) - {"PAD", "EOS"} for kind, after in graph.items() if kind != "PAD"
        }
        self._next["BOS"] = {"Bar"} if tokenizer.name == "remi" else {"TimeSig"}
        self._next["Duration"].add("EOS")
        self._next[""] = {"BOS"}
        self._limit = bars
        self._kind = ""
        self._bars = 0
        """That have begun, or in TSD have ended."""
        self._beats = self._beat = 4
        """Of a bar, and what part of a whole note each is."""
        self._position = -1 if tokenizer.name == "remi" else 0
        """In the bar, in parts of a beat; -1 where a bar is open and nothing is in it."""
        self._program = ""
        self._started: set[tuple[str, str]] = set()

    @property
    def allowed(self) -> np.ndarray:
        """(vocab_size,) bool."""
        mask = np.zeros(len(self._kinds), bool)
        for kind in self._next[self._kind]:
            for index in self._of_kind[kind]:
                mask[index] = self._may(kind, self._values[index])
        return mask

    def _may(self, kind: str, value: str) -> bool:
        if kind not in self._next[self._kind]:
            return False
        if kind == "Bar":
            return self._kind != "Bar" and (self._limit is None or self._bars < self._limit)
        if kind == "Position":
            later = self._position < int(value) < self._room() and self._kind != "Position"
            return later and self._on_grid(int(value))
        if kind == "TimeSig":
            at_bar_line = self._tokenizer.name == "tsd" and not self._position
            return self._kind == "Bar" or (at_bar_line and self._kind != "TimeSig")
        if kind == "Tempo":
            return self._kind != "Tempo" and not self._started
        if kind == "TimeShift":
            bars = self._bars + (self._position + _parts(value)) // self._room()
            return (self._limit is None or bars < self._limit) and self._on_grid(_parts(value))
        if kind == "Duration":
            return self._on_grid(_parts(value))
        if kind in ("Pitch", "PitchDrum"):
            drum = self._program == DRUMS
            return drum == (kind == "PitchDrum") and (self._program, value) not in self._started
        return True

    def _room(self) -> int:
        """Parts of a beat in a bar."""
        return self._beats * self._tokenizer.ticks_per_quarter

    def _on_grid(self, parts: int) -> bool:
        """Whether so many parts of a beat are whole ticks, which divide a quarter as finely."""
        return parts * 4 % self._beat == 0

    def push(self, token: int) -> None:
        kind, value = self._kinds[token], self._values[token]
        if not self._may(kind, value):
            raise ValueError(f"{kind}_{value} cannot follow {self._kind or 'nothing'}")
        if kind == "Bar":
            self._bars, self._position = self._bars + 1, -1
        elif kind == "TimeSig":
            self._beats, self._beat = map(int, value.split("/"))
        elif kind == "Program":
            self._program = value
        elif kind in ("Pitch", "PitchDrum"):
            self._started.add((self._program, value))
        if kind in ("Bar", "Position", "TimeShift"):
            self._started = set()
        if kind == "Position":
            self._position = int(value)
        elif kind == "TimeShift":
            bars, self._position = divmod(self._position + _parts(value), self._room())
            self._bars += bars
        self._kind = kind

    def hurry(self) -> None:
        """Take the shortest way to an end from here on: through a note, if there is none yet."""
        steps = {"EOS": 0}
        while len(steps) < len(self._next):
            for kind, after in self._next.items():
                if kind not in steps and (known := [steps[each] for each in after & set(steps)]):
                    steps[kind] = 1 + min(known)
        self._next = {
            kind: {each for each in after if steps[each] == steps[kind] - 1}
            for kind, after in self._next.items()
        }


@cache
def _parts(value: str) -> int:
    """Parts of a beat, of MidiTok's `beats.parts.resolution`."""
    beats, parts, resolution = map(int, value.split("."))
    return beats * resolution + parts
