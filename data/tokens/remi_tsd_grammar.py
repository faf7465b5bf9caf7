"""Which tokens of MidiTok's REMI and TSD may come next, so that a piece decodes as it was drawn.

MidiTok's own graph of token types is the basis. In addition, a piece ends after a note, time moves
forwards, positions lie within their bar, and no pitch of a program starts twice at the same time.
MidiTok divides the beat of the meter, and we divide the quarter. In 6/8 it could therefore name
times that fall between two of our ticks; these are left out. A unit, below, is the fraction of a
beat that MidiTok counts in.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from data.tokens.remi_tsd import MidiTokTokenizer

DRUMS = "-1"


class MidiGrammar:
    """A piece that grows by one token at a time; see `data.abc.grammar.AbcGrammar`."""

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
        """How many bars have begun, or, in TSD, have ended."""
        self._beats = self._beat = 4
        """How many beats a bar has, and how many beats make a whole note."""
        self._position = -1 if tokenizer.name == "remi" else 0
        """The position in the bar, in units; -1 if nothing is in the open bar yet."""
        self._program = ""
        self._started: set[tuple[str, str]] = set()

    @property
    def allowed(self) -> np.ndarray:
        """(vocab_size,) bool."""
        mask = np.zeros(len(self._kinds), bool)
        for kind in self._next[self._kind]:
            for index in self._of_kind[kind]:
                mask[index] = self._may(kind, self._values[index])
        started = [
            index
            for kind in ("Pitch", "PitchDrum")
            for index in self._of_kind[kind]
            if (self._program, self._values[index]) in self._started
        ]
        # `push` accepts these: two tracks of one program, as in POP909, may play a note at once.
        mask[started] = False
        return mask

    def _may(self, kind: str, value: str) -> bool:
        if kind not in self._next[self._kind]:
            return False
        if kind == "Bar":
            return self._kind != "Bar" and (self._limit is None or self._bars < self._limit)
        if kind == "Position":
            later = self._position < int(value) < self._room() and self._kind != "Position"
            return later and self._whole_ticks(int(value))
        if kind == "TimeSig":
            at_bar_line = self._tokenizer.name == "tsd" and not self._position
            return self._kind == "Bar" or (at_bar_line and self._kind != "TimeSig")
        if kind == "Tempo":
            return self._kind != "Tempo" and not self._started
        if kind == "TimeShift":
            bars = self._bars + (self._position + _units(value)) // self._room()
            return (self._limit is None or bars < self._limit) and self._whole_ticks(_units(value))
        if kind == "Duration":
            return self._whole_ticks(_units(value))
        if kind in ("Pitch", "PitchDrum"):
            return (self._program == DRUMS) == (kind == "PitchDrum")
        return True

    def _room(self) -> int:
        """The number of units in a bar."""
        return self._beats * self._tokenizer.ticks_per_quarter

    def _whole_ticks(self, units: int) -> bool:
        """Whether units are whole ticks: a quarter has as many ticks as a beat has units."""
        return units * 4 % self._beat == 0

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
            bars, self._position = divmod(self._position + _units(value), self._room())
            self._bars += bars
        self._kind = kind

    def hurry(self) -> None:
        """From here on, take the shortest way to an end: by way of a note, if there is none yet."""
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
def _units(value: str) -> int:
    """The number of units in a value of MidiTok, `beats.units.resolution`."""
    beats, units, resolution = map(int, value.split("."))
    return beats * resolution + units
