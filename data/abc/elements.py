"""The notes, chords and rests in a bar of a growing piece of ABC: which of them may follow."""

from __future__ import annotations

from collections.abc import Generator, Set

from data.abc.bars import Bars
from data.abc.chords import Sounding, Voice
from data.abc.dialect import SINGLE, TEMPO, TRIPLET
from data.abc.options import Lengths, lengths_within, shortest_length


class Elements:
    def __init__(self, bars: Bars, voices: list[Voice]) -> None:
        """voices: the list of the piece, which grows."""
        self._bars = bars
        self._sounding = Sounding(voices)
        self.end = 0
        """The tick at which the last note ends."""

    def starts(self, voice: Voice, rest: int, thirds: int) -> Set[str]:
        """What may come where an element begins, `rest` ticks before the bar line.

        thirds: how many elements of the current tuplet are still to come.
        """
        if not rest:
            return {"|"}
        eighth = self._bars.quarter // 2
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
        """The lengths that a rest may have. In the last bar at least one note must sound."""
        final = final or self._bars.index_of_end(voice) == self._bars.limit
        whole = final and not voice.sounds
        return lengths_within(
            rest - max(thirds - 1, 0) - (whole and thirds <= 1), self._bars.quarter // 2, thirds > 0
        )

    def element(
        self, voice: Voice, token: str, end: int, thirds: int, final: bool
    ) -> Generator[Set[str], str, tuple[int, str]]:
        """Follow a note, chord or rest from its first token, already written.

        Returns how many elements of its tuplet are still to come, and the token after it.
        """
        rest, shortest = end - voice.time, 1 if thirds else shortest_length(self._bars.quarter // 2)
        chord: tuple[int, ...] = ()
        if token == "z":
            lengths = self._rests(voice, rest, thirds, final)
        else:
            chord = yield from self._sounding.chord(voice, token, shortest)
            rooms = (self._sounding.room(voice, pitch, voice.time) for pitch in chord)
            room = min([rest - max(thirds - 1, 0), *rooms])
            lengths = lengths_within(room, self._bars.quarter // 2, thirds > 0)
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
            self.end = max(self.end, voice.time)
        voice.tied = ()

    def _after(
        self, voice: Voice, chord: tuple[int, ...], ticks: int, end: int, left: int, final: bool
    ) -> set[str]:
        """What may follow an element that lasts so many ticks."""
        now, tied, sounds = voice.time, voice.tied, voice.sounds
        # Put the voice behind the element for a moment: what may follow depends on its place.
        voice.time, voice.tied = now + ticks, ()
        voice.sounds = sounds or bool(chord)
        rest = end - voice.time
        change = bool(rest) and self._bars.may_change_tempo(voice)
        allowed = set(self.starts(voice, rest, left))
        if change:
            allowed.add(TEMPO)
        free = all(self._sounding.room(voice, pitch, voice.time) > 0 for pitch in chord)
        if chord and free and (change or (not rest and not final)):
            allowed.add("-")
        voice.time, voice.tied, voice.sounds = now, tied, sounds
        return allowed
