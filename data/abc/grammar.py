"""Which tokens of the ABC dialect may follow: a piece that ends under it is valid by construction.

`AbcGrammar` walks along a piece as `data.abc.reader` does, and says before each token which ones
keep the promise that the finished piece reads, that its bars add up to their meter, that ties,
tuplets and chords are complete, and that writing what was read gives the same score again. To keep
it, notes take the spelling that `data.abc.writer` would give them, voices agree on meters and keys,
voices of one track never hold one pitch twice, and nothing changes after the last note.

The one thing that the writer does and the grammar does not: a bar that is cut short by a change of
meter inside it.
"""

from __future__ import annotations

from collections.abc import Generator, Set

import numpy as np

from data.abc.chords import NO_LIMIT, Sounding, Voice
from data.abc.dialect import DENOMINATORS, END, HEADER, KEYS, SINGLE, TRIPLET
from data.abc.options import (
    KEY_TOKENS,
    NUMERATORS,
    PROGRAMS,
    TEMPOS,
    Lengths,
    key_token,
    lengths_within,
    mask_of,
    next_digits,
    shortest_length,
    silence_counts,
)
from data.abc.tokenizer import AbcTokenizer
from data.music.maps import DEFAULT_BPM

PROGRAM, DRUMS, METER, TEMPO, VOICE, MERGE = (
    "[I:MIDI program ",
    "[I:MIDI channel 10]",
    "[M:",
    "[Q:1/4=",
    "[V:",
    " merge",
)
MAX_VOICES = 15
"""abc2midi gives each voice a channel, and MIDI has that many besides the drums'."""
MAX_SILENCE = 999
"""Bars that one `Z` counts."""

Walk = Generator[Set[str], str, str]
"""Yields what may come, is sent what came, and returns the token that comes after it."""


class AbcGrammar:
    """One piece as it comes into being.

    `allowed` is (vocab_size,) bool, what may come next; `push` takes what came. At most `bars` bars
    are written.
    """

    def __init__(self, tokenizer: AbcTokenizer, bars: int | None = None) -> None:
        self._tokenizer = tokenizer
        self._quarter = tokenizer.ticks_per_quarter
        self._limit = bars or NO_LIMIT
        self._lines = [0]
        """Where bars begin; the last one is where no voice has been yet."""
        self._changes: dict[int, tuple[str, ...]] = {}
        """What each voice that comes to a bar line has to tell there."""
        self._declaring: Voice | None = None
        self._voices = [Voice(1, 0, False)]
        self._marked = False
        self._naming = True
        self._tempo, self._tempo_tick = DEFAULT_BPM, -1
        self._end = 0
        self._sounding = Sounding(self._voices)
        self._walk = self._piece()
        self._options = next(self._walk)

    @property
    def bars(self) -> int:
        """How many bars have been begun."""
        return len(self._lines) - 1

    @property
    def allowed(self) -> np.ndarray:
        options = frozenset(self._options)
        if "-" in options and "|" not in options:
            # A tie within a bar is right only before a new tempo. `push` takes it, but a model
            # that ties amiss would be led into a change of tempo each time.
            options -= {"-"}
        return mask_of(self._tokenizer, options)

    def push(self, token: int) -> None:
        """Raises ValueError if it is not allowed. After the end nothing is."""
        text = self._tokenizer.tokens[token]
        if text not in self._options:
            raise ValueError(f"{text!r} cannot follow; expected one of {sorted(self._options)}")
        try:
            self._options = self._walk.send(text)
        except StopIteration:
            self._options = frozenset()

    def hurry(self) -> None:
        """From now on begin one bar more at most, and no voice that need not be."""
        self._limit = min(self._limit, len(self._lines))
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

    # A voice's name.

    def _mark(self) -> Generator[Set[str], str, tuple[Voice, str]]:
        """After `[V:`. The voice that speaks from now on, and the token after its name."""
        self._declaring = None
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
        return [voice for voice in self._voices if self._index(voice) < self._limit]

    def _may_name(self) -> bool:
        return self._naming and len(self._voices) < MAX_VOICES

    # A bar.

    def _index(self, voice: Voice) -> int:
        return int(np.searchsorted(self._lines, voice.time))

    def _opening(self, voice: Voice, stage: int) -> Set[str]:
        """What may come at a bar line where `stage` of instrument, meter, key, tempo are told."""
        at, allowed = voice.time, set()
        if stage < 1 and at == 0 and voice.told < 0 and not voice.instrument:
            named = self._voices[voice.number - 2].instrument if voice.merged else ()
            if named:
                return {named[0]}
            if not voice.merged:
                allowed |= {PROGRAM, DRUMS}
        if voice.told < at and at in self._changes:
            return allowed | {self._changes[at][0]}
        inside = self._index(voice) < self._limit
        if at == self._lines[-1] and inside and self._declaring in (None, voice):
            if at not in self._changes and stage < 2:
                allowed.add(METER)
            if stage < 3 and (at not in self._changes or self._declaring is voice):
                allowed |= KEY_TOKENS - {key_token(voice.key)}
        if inside and stage < 4 and self._may_change_tempo(voice):
            allowed.add(TEMPO)
        if inside:
            length = self._bar_end(voice) - at
            allowed |= self._starts(voice, length, 0)
            if not voice.tied and self._silence(voice):
                allowed.add("Z")
        if voice.spoken and self._marked and (self._callable() or self._may_name()):
            allowed.add(VOICE)
        if self._may_end():
            allowed.add(END)
        return allowed

    def _may_end(self) -> bool:
        """All voices have stopped after a bar with something in it, the last change is heard."""
        if self._marked and len(self._voices) < 2:
            return False
        last_change = max([self._tempo_tick, *self._changes])
        return self._end > last_change and all(
            voice.ends_well and voice.notes and not voice.tied for voice in self._voices
        )

    def _bar_end(self, voice: Voice) -> int:
        index = self._index(voice)
        if index + 1 < len(self._lines):
            return self._lines[index + 1]
        numerator, denominator = voice.meter
        return voice.time + numerator * 4 * self._quarter // denominator

    def _bar(self, voice: Voice, token: str) -> Walk:
        """From a bar line to the next, or to where the voice stops in between."""
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
        end = self._bar_end(voice)
        if end > self._lines[-1]:
            self._lines.append(end)
            self._declaring = None
        final = self._lines.index(end) == self._limit
        voice.sounds = False
        voice.ends_well = self._tempo_tick == voice.time and voice.number == 1
        thirds = 0
        while token != "|":
            if token == TEMPO:
                yield from self._tempo_change(voice)
                token = yield self._starts(voice, end - voice.time, thirds)
                continue
            if token in (TRIPLET, SINGLE):
                thirds = 3 if token == TRIPLET else 1
                token = yield self._starts(voice, end - voice.time, thirds)
            thirds, token = yield from self._element(voice, token, end, thirds, final)
        voice.altered.clear()
        return (yield self._opening(voice, 0))

    def _instrument(self, voice: Voice, token: str) -> Walk:
        told = [token]
        if voice.merged:
            for forced in self._voices[voice.number - 2].instrument[1:]:
                told.append((yield {forced}))
        elif token == PROGRAM:
            text, token = yield from self._number(PROGRAMS, frozenset({"]"}))
            told += [*text, token]
        voice.instrument = tuple(told)
        return (yield self._opening(voice, 1))

    def _change(self, voice: Voice, token: str) -> Walk:
        """Meter and key: the first voice that gets to a bar line declares, the others tell."""
        told = self._changes.get(voice.time, ())
        if voice.told < voice.time and told:
            for forced in told[1:]:
                token = yield {forced}
            stage = 3
        elif token == METER:
            stage, told = 2, (METER, *(yield from self._meter(voice)))
        else:
            stage, told = 3, (*told, token)
        if told != self._changes.get(voice.time):
            self._changes[voice.time], self._declaring = told, voice
        voice.told = voice.time
        if told[0] == METER:
            fraction = told[1 : told.index("]")]
            voice.meter = int("".join(fraction[:-1])), int(fraction[-1][1:])
        voice.key = KEYS.get(told[-1], voice.key)
        return (yield self._opening(voice, stage))

    def _meter(self, voice: Voice) -> Generator[Set[str], str, tuple[str, ...]]:
        units = {f"/{unit}" for unit in DENOMINATORS if 4 * self._quarter % unit == 0}
        text, token = "", "0"
        while token.isdigit():
            text = text + token if text or token != "0" else text
            same = {f"/{voice.meter[1]}"} if text == str(voice.meter[0]) else set()
            ends = units - same if text else set()
            token = yield next_digits(NUMERATORS, text) | ends
        yield {"]"}
        return (*text, token, "]")

    def _number(
        self, values: frozenset[str], follow: Set[str]
    ) -> Generator[Set[str], str, tuple[str, str]]:
        """One of `values`, and the token after it."""
        text = ""
        while True:
            token = yield next_digits(values, text) | (follow if text in values else frozenset())
            if not token.isdigit():
                return text, token
            text += token

    def _may_change_tempo(self, voice: Voice) -> bool:
        return voice.number == 1 and self._tempo_tick < voice.time

    def _silence(self, voice: Voice) -> int:
        """How many bars may be counted as silent; the last of a piece never."""
        at, index = voice.time, self._index(voice)
        most = min(MAX_SILENCE, self._limit - 1 - index)
        ahead = [tick for tick in self._changes if tick > at]
        return min([most, *(self._lines.index(tick) - index for tick in ahead)])

    def _silent_bars(self, voice: Voice) -> Walk:
        counts = silence_counts(self._silence(voice))
        text, _ = yield from self._number(counts, frozenset({"|"}))
        for _ in range(int(text or 1)):
            voice.time = self._bar_end(voice)
            if voice.time > self._lines[-1]:
                self._lines.append(voice.time)
                self._declaring = None
        voice.ends_well = voice.sounds = False
        return (yield self._opening(voice, 0))

    def _tempo_change(self, voice: Voice) -> Generator[Set[str], str, None]:
        values = TEMPOS - {str(self._tempo)}
        text, _ = yield from self._number(values, frozenset({"]"}))
        self._tempo, self._tempo_tick = int(text), voice.time
        voice.sounds, voice.ends_well = False, True

    # Notes and rests.

    def _starts(self, voice: Voice, rest: int, thirds: int) -> Set[str]:
        """What may come where an element begins, `rest` ticks before the bar line."""
        if not rest:
            return {"|"}
        eighth = self._quarter // 2
        room = min([rest, *(self._sounding.room(voice, pitch, voice.time) for pitch in voice.tied)])
        allowed: set[str] = set()
        if not thirds and eighth % 3 == 0:
            allowed |= {SINGLE} | ({TRIPLET} if rest >= 3 else set())
        if thirds or room >= shortest_length(eighth):
            notes = self._sounding.starts(voice, 1 if thirds else shortest_length(eighth))
            allowed |= notes
            if not voice.tied and self._rests(voice, rest, thirds, False):
                allowed.add("z")
        return allowed

    def _rests(self, voice: Voice, rest: int, thirds: int, final: bool) -> Lengths:
        """How long a rest may be: in the last bar some note must sound."""
        final = final or self._index_of_end(voice) == self._limit
        whole = final and not voice.sounds
        return lengths_within(
            rest - max(thirds - 1, 0) - (whole and thirds <= 1), self._quarter // 2, thirds > 0
        )

    def _index_of_end(self, voice: Voice) -> int:
        """The number of the bar line that ends the bar in which the voice stands."""
        return int(np.searchsorted(self._lines, voice.time, side="right"))

    def _element(
        self, voice: Voice, token: str, end: int, thirds: int, final: bool
    ) -> Generator[Set[str], str, tuple[int, str]]:
        """A note, chord or rest. How many of its tuplet are to come, and the token after it."""
        rest, shortest = end - voice.time, 1 if thirds else shortest_length(self._quarter // 2)
        chord: tuple[int, ...] = ()
        if token == "z":
            lengths = self._rests(voice, rest, thirds, final)
        else:
            chord = yield from self._sounding.chord(voice, token, shortest)
            rooms = (self._sounding.room(voice, pitch, voice.time) for pitch in chord)
            room = min([rest - max(thirds - 1, 0), *rooms])
            lengths = lengths_within(room, self._quarter // 2, thirds > 0)
        left = max(thirds - 1, 0)
        text, ticks = "", 0
        while True:
            options = lengths.get(text, {})
            follow: set[str] = set()
            if "" in options:
                follow = self._after(voice, chord, options[""], end, left, final)
            digits = {option for option in options if option}
            token = yield digits | follow
            if token in follow and token not in digits:
                ticks = options[""]
                break
            if token.startswith("/"):
                ticks = options[token]
                token = yield self._after(voice, chord, ticks, end, left, final)
                break
            text += token
        self._sound(voice, chord, ticks)
        if token == "-":
            voice.tied = chord
            token = yield {"|"} if voice.time == end else {TEMPO}
        return left, token

    def _sound(self, voice: Voice, chord: tuple[int, ...], ticks: int) -> None:
        self._sounding.add(voice, chord, ticks)
        voice.time += ticks
        if chord:
            voice.notes += 1
            voice.sounds = voice.ends_well = True
            self._end = max(self._end, voice.time)
        voice.tied = ()

    def _after(
        self, voice: Voice, chord: tuple[int, ...], ticks: int, end: int, left: int, final: bool
    ) -> set[str]:
        """What may follow an element of so many ticks."""
        now, tied, sounds = voice.time, voice.tied, voice.sounds
        # The voice as it will be: what follows is decided there.
        voice.time, voice.tied = now + ticks, ()
        voice.sounds = sounds or bool(chord)
        rest = end - voice.time
        change = bool(rest) and self._may_change_tempo(voice)
        allowed = set(self._starts(voice, rest, left))
        if change:
            allowed.add(TEMPO)
        free = all(self._sounding.room(voice, pitch, voice.time) > 0 for pitch in chord)
        if chord and free and (change or (not rest and not final)):
            allowed.add("-")
        voice.time, voice.tied, voice.sounds = now, tied, sounds
        return allowed
