"""Notes and chords in a growing piece of ABC: which pitches are allowed, and how they are spelled.

No two voices of a track hold the same pitch at once, a tied chord continues unchanged, and notes
are spelled as `data.abc.writer` would spell them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence, Set
from dataclasses import dataclass, field

from data.abc.dialect import ALTERATIONS, MARKS, NATURAL, PITCHES, key_alteration
from data.abc.options import ALL_PITCHES, note_tokens
from data.music.maps import DEFAULT_METER

NO_LIMIT = 1 << 30
"""More bars, or ticks, than any piece has."""


@dataclass
class Voice:
    """Where one voice stands."""

    number: int
    track: int
    merged: bool
    instrument: tuple[str, ...] = ()
    """The tokens that state it."""
    time: int = 0
    """The tick at which it continues."""
    meter: tuple[int, int] = DEFAULT_METER
    key: tuple[int, bool] | None = None
    told: int = -1
    """The last tick at which it stated a change of meter or key."""
    altered: set[int] = field(default_factory=set)
    """The letters that have carried an accidental in this bar."""
    tied: tuple[int, ...] = ()
    """The pitches of the chord that its next element continues."""
    notes: int = 0
    sounds: bool = False
    """Whether a note sounds in its latest bar, after the last change of tempo there."""
    ends_well: bool = False
    """Whether its latest bar holds a note or a change of tempo, so that it may stop there."""
    spoken: bool = True
    """Whether it has written anything since its name was last written."""


class Sounding:
    """Which voice sounds what, and when. `voices` is the list of the piece, which grows."""

    def __init__(self, voices: list[Voice]) -> None:
        self._voices = voices
        self._notes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        """The onset and end of every note, by (track, pitch)."""

    def add(self, voice: Voice, chord: tuple[int, ...], ticks: int) -> None:
        """The voice plays this chord from where it stands."""
        for pitch in chord:
            self._notes.setdefault((voice.track, pitch), []).append(
                (voice.time, voice.time + ticks)
            )

    def room(self, voice: Voice, pitch: int, at: int) -> int:
        """Ticks from `at` until another voice of the track sounds the pitch; 0 if one does so."""
        room, others = NO_LIMIT, self.others(voice)
        if not others:
            return room
        held = [(other.time, other.time + 1) for other in others if pitch in other.tied]
        for onset, end in (*self._notes.get((voice.track, pitch), ()), *held):
            if at < end:
                room = min(room, max(onset - at, 0))
        return room

    def others(self, voice: Voice) -> list[Voice]:
        """The other voices of its track."""
        return [v for v in self._voices if v.track == voice.track and v is not voice]

    def pitches(self, voice: Voice, shortest: int) -> list[int]:
        """The pitches that may sound for at least `shortest` ticks, in ascending order."""
        if voice.tied:
            return list(voice.tied)
        if not self.others(voice):
            return ALL_PITCHES
        return [pitch for pitch in ALL_PITCHES if self.room(voice, pitch, voice.time) >= shortest]

    def _names(self, voice: Voice, pitches: Sequence[int], mark: str = "") -> Set[str]:
        """The next token of a note on one of `pitches`: an accidental that is due, or the name."""
        sharps, minor = voice.key or (0, False)
        altered = frozenset(voice.altered)
        return note_tokens(tuple(pitches), sharps, minor, altered, mark)

    def starts(self, voice: Voice, shortest: int) -> Set[str]:
        """The tokens with which a note or chord of at least `shortest` ticks may begin."""
        pitches = self.pitches(voice, shortest)
        if voice.tied and len(pitches) > 1:
            return {"["}
        return self._names(voice, pitches) | ({"["} if len(pitches) > 1 else set())

    def chord(
        self, voice: Voice, token: str, shortest: int
    ) -> Generator[Set[str], str, tuple[int, ...]]:
        """Follow a chord from its first token, already written; return its pitches, ascending."""
        pitches, several = self.pitches(voice, shortest), token == "["
        chord: list[int] = []
        if several:
            # At least one pitch must be left for the second note.
            first = pitches[:1] if voice.tied else pitches[:-1]
            token = yield self._names(voice, first)
        while token != "]":
            mark = token if token in MARKS.values() else ""
            if mark:
                token = yield self._names(voice, self._remaining(voice, pitches, chord), mark)
            chord.append(self._take_note(voice, mark, token))
            if not several:
                break
            above = self._remaining(voice, pitches, chord)
            done = len(chord) == len(pitches) if voice.tied else len(chord) > 1
            token = yield (self._names(voice, above) if above else set()) | (
                {"]"} if done else set()
            )
        return tuple(chord)

    def _remaining(self, voice: Voice, pitches: list[int], chord: list[int]) -> list[int]:
        if voice.tied:
            return pitches[len(chord) : len(chord) + 1]
        return [pitch for pitch in pitches if not chord or pitch > chord[-1]]

    def _take_note(self, voice: Voice, mark: str, name: str) -> int:
        sharps, _ = voice.key or (0, False)
        letter, octave = PITCHES.index(name) % 7, PITCHES.index(name) // 7
        own = key_alteration(letter, sharps)
        alteration = ALTERATIONS[mark] if mark else own
        if alteration != own:
            voice.altered.add(letter)
        return 12 * octave + NATURAL[letter] + alteration
