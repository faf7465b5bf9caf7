"""Which tokens of the ABC dialect may come next, so that every finished piece is valid.

`AbcGrammar` goes along a piece as `data.abc.reader` does and says, before each token, which tokens
are allowed. They are chosen so that a finished piece can be read, its bars add up to their meter,
its ties, tuplets and chords are complete, and writing the score that was read gives the same text
again. For this, notes are spelled as `data.abc.writer` would spell them, voices agree on meters and
keys, no two voices of a track hold the same pitch at once, and nothing changes after the last note.

The writer can do one thing that the grammar does not allow: cut a bar short by a change of meter
inside it.
"""

from __future__ import annotations

from collections.abc import Generator, Set

import numpy as np

from data.abc.bars import Bars
from data.abc.chords import Voice
from data.abc.dialect import (
    DENOMINATORS,
    DRUMS,
    END,
    HEADER,
    KEYS,
    MERGE,
    METER,
    PROGRAM,
    SINGLE,
    TEMPO,
    TRIPLET,
    VOICE,
)
from data.abc.elements import Elements
from data.abc.options import (
    NUMERATORS,
    PROGRAMS,
    TEMPOS,
    key_token,
    mask_of,
    next_digits,
    silence_counts,
)
from data.abc.tokenizer import AbcTokenizer

MAX_VOICES = 15
"""abc2midi gives each voice its own channel, and MIDI has this many beside that of the drums."""

Walk = Generator[Set[str], str, str]
"""Yields the allowed tokens, is sent the one that came, returns the first that is not its own."""


class AbcGrammar:
    """A piece that grows by one token at a time.

    `allowed`, (vocab_size,) bool, says which tokens may come next, and `push` adds one of them. The
    piece has at most `bars` bars.
    """

    def __init__(self, tokenizer: AbcTokenizer, bars: int | None = None) -> None:
        self._tokenizer = tokenizer
        self._bars = Bars(tokenizer.ticks_per_quarter, bars)
        self._voices = [Voice(1, 0, False)]
        self._elements = Elements(self._bars, self._voices)
        self._marked = False
        """Whether the piece has more than one voice, each named by a mark."""
        self._naming = True
        """Whether more voices may be named."""
        self._walk = self._piece()
        self._options = next(self._walk)

    @property
    def bars(self) -> int:
        """How many bars have begun."""
        return len(self._bars.lines) - 1

    @property
    def allowed(self) -> np.ndarray:
        options = frozenset(self._options)
        if "-" in options and "|" not in options:
            # A tie inside a bar is valid only before a change of tempo. `push` accepts it, but to
            # allow it would force every model that misplaces a tie into a change of tempo.
            options -= {"-"}
        return mask_of(self._tokenizer, options)

    def push(self, token: int) -> None:
        """Add a token. Raises ValueError if it is not allowed; after the end, none is."""
        text = self._tokenizer.tokens[token]
        if text not in self._options:
            raise ValueError(f"{text!r} cannot follow; expected one of {sorted(self._options)}")
        try:
            self._options = self._walk.send(text)
        except StopIteration:
            self._options = frozenset()

    def hurry(self) -> None:
        """From here on, begin at most one more bar, and no voice that is not needed."""
        self._bars.limit = min(self._bars.limit, len(self._bars.lines))
        self._naming = self._naming and len(self._voices) < 2

    def _piece(self) -> Walk:
        voice = self._voices[0]
        yield {HEADER}
        token = yield {VOICE} | self._opening(voice, 0)
        if token == VOICE:
            self._marked = True
            self._voices.clear()
        while token != END:
            if token == VOICE:
                voice, token = yield from self._mark()
            else:
                token = yield from self._bar(voice, token)
        return token

    # --- the name of a voice

    def _mark(self) -> Generator[Set[str], str, tuple[Voice, str]]:
        """After `[V:`, return the voice that continues here, and the token after its name."""
        self._bars.declaring = None
        callable_ = {str(voice.number): voice for voice in self._callable()}
        new = str(len(self._voices) + 1)
        names = frozenset(callable_) | ({new} if self._may_name() else set())
        text, follow = "", frozenset({"]"})
        while True:
            merge = {MERGE} if text == new and self._voices else set()
            token = yield next_digits(names, text) | (
                follow | merge if text in names else frozenset()
            )
            if not token.isdigit():
                break
            text += token
        if text in callable_:
            self._naming, voice = False, callable_[text]
            voice.spoken = False
            return voice, (yield self._opening(voice, 0))
        merged = token == MERGE
        if merged:
            yield follow
        track = self._voices[-1].track + (not merged) if self._voices else 0
        voice = Voice(len(self._voices) + 1, track, merged)
        self._voices.append(voice)
        return voice, (yield self._opening(voice, 0))

    def _callable(self) -> list[Voice]:
        if len(self._voices) < 2:
            return []
        return [voice for voice in self._voices if self._bars.index(voice) < self._bars.limit]

    def _may_name(self) -> bool:
        return self._naming and len(self._voices) < MAX_VOICES

    # --- a bar

    def _opening(self, voice: Voice, stage: int) -> Set[str]:
        """What may come at a bar line.

        stage: how many of instrument, meter, key and tempo have been dealt with there.
        """
        at, allowed = voice.time, set()
        if stage < 1 and at == 0 and voice.told < 0 and not voice.instrument:
            named = self._voices[voice.number - 2].instrument if voice.merged else ()
            if named:
                return {named[0]}
            if not voice.merged:
                allowed |= {PROGRAM, DRUMS}
        if voice.told < at and at in self._bars.changes:
            return allowed | {self._bars.changes[at][0]}
        inside = self._bars.index(voice) < self._bars.limit
        if at == self._bars.lines[-1] and inside and self._bars.declaring in (None, voice):
            if at not in self._bars.changes and stage < 2:
                allowed.add(METER)
            if stage < 3 and (at not in self._bars.changes or self._bars.declaring is voice):
                allowed |= KEYS.keys() - {key_token(voice.key)}
        if inside and stage < 4 and self._bars.may_change_tempo(voice):
            allowed.add(TEMPO)
        if inside:
            length = self._bars.end(voice) - at
            allowed |= self._elements.starts(voice, length, 0)
            if not voice.tied and self._bars.most_silent(voice):
                allowed.add("Z")
        if voice.spoken and self._marked and (self._callable() or self._may_name()):
            allowed.add(VOICE)
        if self._may_end():
            allowed.add(END)
        return allowed

    def _may_end(self) -> bool:
        """Whether every voice has ended on a bar that is not silent, after the last change."""
        if self._marked and len(self._voices) < 2:
            return False
        last_change = max([self._bars.tempo_tick, *self._bars.changes])
        return self._elements.end > last_change and all(
            voice.ends_well and voice.notes and not voice.tied for voice in self._voices
        )

    def _bar(self, voice: Voice, token: str) -> Walk:
        """Follow a voice from a bar line to the next, or to a mark or the end before any note."""
        voice.spoken = True
        while True:
            if token in (PROGRAM, DRUMS):
                token = yield from self._instrument(voice, token)
            elif token == METER or token in KEYS:
                token = yield from self._change(voice, token)
            elif token == TEMPO:
                yield from self._tempo_change(voice)
                token = yield self._opening(voice, 4)
            elif token == "Z":
                return (yield from self._silent_bars(voice))
            elif token in (VOICE, END):
                return token
            else:
                break
        end = self._bars.end(voice)
        self._bars.begin(end)
        final = self._bars.lines.index(end) == self._bars.limit
        voice.sounds = False
        voice.ends_well = self._bars.tempo_tick == voice.time and voice.number == 1
        thirds = 0
        while token != "|":
            if token == TEMPO:
                yield from self._tempo_change(voice)
                token = yield self._elements.starts(voice, end - voice.time, thirds)
                continue
            if token in (TRIPLET, SINGLE):
                thirds = 3 if token == TRIPLET else 1
                token = yield self._elements.starts(voice, end - voice.time, thirds)
            thirds, token = yield from self._elements.element(voice, token, end, thirds, final)
        voice.altered.clear()
        return (yield self._opening(voice, 0))

    def _instrument(self, voice: Voice, token: str) -> Walk:
        told = [token]
        if voice.merged:
            for forced in self._voices[voice.number - 2].instrument[1:]:
                told.append((yield {forced}))
        elif token == PROGRAM:
            text, token = yield from _number(PROGRAMS, frozenset({"]"}))
            told += [*text, token]
        voice.instrument = tuple(told)
        return (yield self._opening(voice, 1))

    def _change(self, voice: Voice, token: str) -> Walk:
        """Meter and key: the first voice at a bar line chooses them, and the others repeat them."""
        told = self._bars.changes.get(voice.time, ())
        if voice.told < voice.time and told:
            for forced in told[1:]:
                token = yield {forced}
            stage = 3
        elif token == METER:
            stage, told = 2, (METER, *(yield from self._meter(voice)))
        else:
            stage, told = 3, (*told, token)
        if told != self._bars.changes.get(voice.time):
            self._bars.changes[voice.time], self._bars.declaring = told, voice
        voice.told = voice.time
        if told[0] == METER:
            fraction = told[1 : told.index("]")]
            voice.meter = int("".join(fraction[:-1])), int(fraction[-1][1:])
        voice.key = KEYS.get(told[-1], voice.key)
        return (yield self._opening(voice, stage))

    def _meter(self, voice: Voice) -> Generator[Set[str], str, tuple[str, ...]]:
        units = {f"/{unit}" for unit in DENOMINATORS if 4 * self._bars.quarter % unit == 0}
        text, token = "", "0"
        while token.isdigit():
            text = text + token if text or token != "0" else text
            same = {f"/{voice.meter[1]}"} if text == str(voice.meter[0]) else set()
            ends = units - same if text else set()
            token = yield next_digits(NUMERATORS, text) | ends
        yield {"]"}
        return (*text, token, "]")

    def _silent_bars(self, voice: Voice) -> Walk:
        counts = silence_counts(self._bars.most_silent(voice))
        text, _ = yield from _number(counts, frozenset({"|"}))
        for _ in range(int(text or 1)):
            voice.time = self._bars.end(voice)
            self._bars.begin(voice.time)
        voice.ends_well = voice.sounds = False
        return (yield self._opening(voice, 0))

    def _tempo_change(self, voice: Voice) -> Generator[Set[str], str, None]:
        values = TEMPOS - {str(self._bars.tempo)}
        text, _ = yield from _number(values, frozenset({"]"}))
        self._bars.tempo, self._bars.tempo_tick = int(text), voice.time
        voice.sounds, voice.ends_well = False, True


def _number(values: frozenset[str], follow: Set[str]) -> Generator[Set[str], str, tuple[str, str]]:
    """Follow a number, one of `values`; return it, and the token after it."""
    text = ""
    while True:
        token = yield next_digits(values, text) | (follow if text in values else frozenset())
        if not token.isdigit():
            return text, token
        text += token
