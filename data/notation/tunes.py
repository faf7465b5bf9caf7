"""ABC as people write it, read into scores: tune books, and what `data.notation.abc_text` writes.

What is written is read once, in the order of the page: repeats, endings and parts (`P:`) are not
played out, since half of every dance would be a copy of the other half. Ornaments, grace notes,
slurs, chord symbols, fingerings, words and layout are passed over. `%%score` and `merge` say which
voices are of one track; otherwise each has its own. Before an upbeat come rests, so that a bar
begins behind it.

Macros (`m:`) and microtones are refused, by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from data.abc.dialect import ALTERATIONS, LETTER_OF, NATURAL_PITCH, AbcError
from data.abc.reader import DEFAULT_VELOCITY
from data.music.maps import DEFAULT_BPM, DEFAULT_METER, changes
from data.music.quantise import disjoint
from data.music.score import Score, typed
from data.notation.fields import Key, key_of, meter_of, tempo_of, tracks_of
from data.notation.symbols import IN_CHORD, MUSIC

_FIELD = re.compile(r"([A-Za-z]):(?![|:])(.*)")
_IN_THE_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


def tunes(text: str) -> Iterator[str]:
    """The tunes of a book, each with the fields that stand before the first of them."""
    head, *found = re.split(r"^(?=X:)", text.replace("\r", ""), flags=re.MULTILINE)
    if not found:
        yield head
        return
    common = "".join(line + "\n" for line in head.splitlines() if re.match(r"[A-Za-z]:|%%", line))
    for tune in found:
        number, _, rest = tune.partition("\n")
        yield f"{number}\n{common}{rest}"


def read(tune: str, ticks_per_quarter: int) -> Score:
    """The score of one tune. Raises AbcError, with the line, if it cannot be read.

    Lengths that are not on the grid are rounded; the rules are those of `data.music.quantise`.
    """
    return _Tune(tune).score(ticks_per_quarter)


@dataclass
class _Voice:
    """How far one voice has been read. Times and lengths are in quarters."""

    number: int
    meter: tuple[int, int]
    unit: Fraction
    key: Key
    program: int = 0
    is_drum: bool = False
    merged: bool = False
    time: Fraction = Fraction()
    bar: Fraction = Fraction()
    """When its bar began."""
    accidentals: dict[int, int] = field(default_factory=dict)
    """Of this bar, by letter: as ABC 2.1 has it, they hold in all octaves."""
    tied: dict[str, list[int]] = field(default_factory=dict)
    """The notes that go on, by letter and octave: their pitches, and the index of each."""
    tuplet: tuple[Fraction, int] = (Fraction(1), 0)
    """What lengths are multiplied by, and for how many more symbols."""
    last: tuple[list[int], Fraction] = ([], Fraction())
    """The notes of the latest symbol, and its length."""
    dotted: Fraction = Fraction(1)
    """What the next length is multiplied by, after `>` or `<`."""


class _Tune:
    def __init__(self, text: str) -> None:
        self.notes: list[list] = []
        """Voice, program, is_drum, onset, pitch, length."""
        self.meters: dict[Fraction, tuple[int, int]] = {}
        self.tempos: dict[Fraction, int] = {}
        self.keys: dict[Fraction, tuple[int, bool]] = {}
        self.voices: dict[str, _Voice] = {}
        self.shared: list[list[str]] = []
        """The voices of each track that has several."""
        self.upbeat: Fraction | None = None
        self.meter, self.unit, self.key = DEFAULT_METER, Fraction(), Key(None, {})
        self.tempo = ""
        self.in_music = False
        self.voice: _Voice | None = None
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                if not line and self.in_music:
                    break
                self.line(line)
            except AbcError as error:
                raise AbcError(f"line {number}: {error}") from None
        if not self.notes:
            raise AbcError("the tune holds no notes" + " and no key (K:)" * (not self.in_music))

    def line(self, line: str) -> None:
        if line.startswith("%%"):
            self.directive(line[2:].split())
            return
        line = re.sub(r"(?<!\\)%.*", "", line)
        if found := _FIELD.match(line):
            self.field(found[1], found[2].strip())
        elif self.in_music:
            self.music(line)

    def directive(self, words: list[str]) -> None:
        if words[:1] in (["score"], ["staves"]):
            self.shared = tracks_of(" ".join(words[1:]))
        elif words[:2] == ["MIDI", "program"] and len(words) > 2 and words[-1].isdigit():
            self.now().program = min(int(words[-1]), 127)
        elif words[:2] == ["MIDI", "channel"] and len(words) > 2:
            self.now().is_drum = words[2] == "10"

    def now(self) -> _Voice:
        """The voice that is being read; the first one if none was named."""
        if self.voice is None:
            self.speak("1" if not self.voices else next(iter(self.voices)))
        assert self.voice is not None
        return self.voice

    def speak(self, value: str) -> None:
        name, *rest = value.split() or ["1"]
        if name not in self.voices:
            unit = self.unit or self.default_unit()
            self.voices[name] = _Voice(len(self.voices), self.meter, unit, self.key)
        self.voice = self.voices[name]
        self.voice.merged |= "merge" in rest

    def default_unit(self) -> Fraction:
        """Quarters of the length 1 where no field says it."""
        return Fraction(1, 4 if Fraction(*self.meter) < Fraction(3, 4) else 2)

    def field(self, name: str, value: str) -> None:
        if name == "m":
            raise AbcError(f"a macro (m:{value[:20]}) is not read; write out what it stands for")
        if name == "V":
            self.speak(value)
        elif name == "I" and value.startswith("MIDI"):
            self.directive(value.replace("=", " ").split())
        elif name in "MLKQ":
            (self.change if self.in_music else self.open)(name, value)

    def open(self, name: str, value: str) -> None:
        """A field of the header, which holds for all voices."""
        if name == "M":
            self.meter = meter_of(value) or self.meter
        elif name == "L":
            self.unit = 4 * _fraction(value)
        elif name == "Q":
            self.tempo = value
        else:
            self.key = key_of(value, self.key)
            self.in_music = True
            self.meters[Fraction()] = self.meter
            unit = self.unit or self.default_unit()
            if self.tempo:
                self.tempos[Fraction()] = tempo_of(self.tempo, unit) or DEFAULT_BPM
            if self.key.signature:
                self.keys[Fraction()] = self.key.signature
            for voice in self.voices.values():
                voice.meter, voice.unit, voice.key = self.meter, unit, self.key
            self.voice = None

    def change(self, name: str, value: str) -> None:
        """A field amid the music, which holds for the voice."""
        voice = self.now()
        if name == "M":
            voice.meter = self.meters[voice.time] = meter_of(value) or voice.meter
        elif name == "L":
            voice.unit = 4 * _fraction(value)
        elif name == "Q":
            if tempo := tempo_of(value, voice.unit):
                self.tempos[voice.time] = tempo
        else:
            voice.key = key_of(value, voice.key)
            if voice.key.signature:
                self.keys[voice.time] = voice.key.signature

    def music(self, line: str) -> None:
        at = 0
        while at < len(line):
            found = MUSIC.match(line, at)
            if found is None or found.end() == at:
                raise AbcError(f"found {line[at : at + 12]!r}, expected notes or bar lines")
            at = found.end()
            if found["field"]:
                self.field(found["field"], found["value"].strip())
            else:
                self.symbol(found, self.now())

    def symbol(self, found: re.Match[str], voice: _Voice) -> None:
        if found["bar"]:
            self.bar(voice)
        elif found["overlay"]:
            voice.time = voice.bar
        elif found["p"]:
            p = int(found["p"])
            compound = voice.meter[1] == 8 and voice.meter[0] % 3 == 0
            q = int(found["q"] or _IN_THE_TIME_OF.get(p, 3 if compound else 2))
            voice.tuplet = Fraction(q, max(p, 1)), int(found["r"] or p)
        elif found["broken"]:
            self.broken(found["broken"], voice)
        elif found["rest"]:
            self.rest(found["rest"], found["rest_length"], voice)
        elif found["chord"] is not None:
            self.chord(found["chord"], found["chord_length"], bool(found["chord_tie"]), voice)
        elif found["name"]:
            if found["micro"]:
                raise AbcError(f"a microtone ({found[0]}) is not read")
            length = _length(found["length"]) * voice.unit
            note = (found["mark"], found["name"], length, bool(found["tie"]))
            self.sound([note], Fraction(1), voice)

    def bar(self, voice: _Voice) -> None:
        if self.upbeat is None and voice.time:
            self.upbeat = voice.time
        voice.bar = voice.time
        voice.accidentals.clear()

    def broken(self, sign: str, voice: _Voice) -> None:
        """Lengthen the note before by a half (`>`), 3/4 (`>>`), ...; or shorten it (`<`)."""
        notes, length = voice.last
        short = Fraction(1, 2 ** len(sign))
        first, voice.dotted = (2 - short, short) if sign[0] == ">" else (short, 2 - short)
        for index in notes:
            self.notes[index][5] += length * (first - 1)
        voice.time += length * (first - 1)

    def rest(self, sign: str, length: str, voice: _Voice) -> None:
        voice.tied = {}
        if sign in "ZX":
            voice.time += int(length or 1) * 4 * Fraction(*voice.meter)
            voice.last = [], Fraction()
        else:
            self.advance(_length(length) * voice.unit, [], voice)

    def chord(self, inner: str, length: str, tie: bool, voice: _Voice) -> None:
        notes, at = [], 0
        while at < len(inner):
            found = IN_CHORD.match(inner, at)
            if found is None:
                raise AbcError(f"found [{inner}], expected a chord of notes")
            at = found.end()
            if found["name"]:
                own = _length(found["length"]) * voice.unit
                notes.append((found["mark"], found["name"], own, tie or bool(found["tie"])))
        if notes:
            self.sound(notes, _length(length), voice)

    def sound(
        self, notes: list[tuple[str, str, Fraction, bool]], times: Fraction, voice: _Voice
    ) -> None:
        """Notes that begin together: mark, name, length, and whether each is tied."""
        before, voice.tied = voice.tied, {}
        factor = times * voice.dotted * (voice.tuplet[0] if voice.tuplet[1] else 1)
        indices = []
        for mark, name, length, tie in notes:
            going_on = before.get(name, [])
            pitch = self.pitch(mark, name, going_on, voice)
            index = next((n for n in going_on if self.notes[n][4] == pitch), None)
            if index is None:
                index = len(self.notes)
                program = 0 if voice.is_drum else voice.program
                played_on = voice.number, program, voice.is_drum
                self.notes.append([*played_on, voice.time, pitch, Fraction()])
            self.notes[index][5] += length * factor
            indices.append(index)
            if tie:
                voice.tied.setdefault(name, []).append(index)
        self.advance(notes[0][2] * times, indices, voice)

    def pitch(self, mark: str, name: str, going_on: list[int], voice: _Voice) -> int:
        letter = LETTER_OF[name[0]]
        octave = name.count(",") - name.count("'")
        plain = NATURAL_PITCH[name[0]] - 12 * octave
        if mark:
            alteration = sum(ALTERATIONS[sign] for sign in mark)
            voice.accidentals[letter] = alteration
        elif going_on:
            return self.notes[going_on[0]][4]
        else:
            alteration = voice.accidentals.get(letter, voice.key.alteration(letter))
        if not 0 <= plain + alteration <= 127:
            raise AbcError(f"{mark}{name} is no MIDI pitch")
        return plain + alteration

    def advance(self, length: Fraction, notes: list[int], voice: _Voice) -> None:
        factor, left = voice.tuplet
        length *= voice.dotted * (factor if left else 1)
        voice.tuplet = factor, max(left - 1, 0)
        voice.dotted = Fraction(1)
        voice.last = notes, length
        voice.time += length

    def tracks(self) -> list[int]:
        """The track of each voice, in the order in which voices are named."""
        of = {name: group[0] for group in self.shared for name in group}
        tracks: dict[str, int] = {}
        found: list[int] = []
        for name, voice in self.voices.items():
            if voice.merged and found:
                found.append(found[-1])
            else:
                found.append(tracks.setdefault(of.get(name, name), len(tracks)))
        return found

    def score(self, ticks_per_quarter: int) -> Score:
        bar = 4 * Fraction(*self.meters[Fraction()])
        upbeat = self.upbeat or Fraction()
        short = 0 < upbeat < bar and upbeat not in self.meters
        shift = bar - upbeat if short else Fraction()

        def tick(time: Fraction) -> int:
            return int((time + shift) * ticks_per_quarter + Fraction(1, 2))

        tracks = self.tracks()
        rows = [
            (tracks[voice], *of, tick(onset), pitch, tick(onset + length) - tick(onset))
            for voice, *of, onset, pitch, length in self.notes
        ]
        columns = np.array([(*row, DEFAULT_VELOCITY) for row in rows], np.int64).T
        mended: list[dict[str, int]] = [{}]
        columns, _ = disjoint(columns, np.zeros(len(rows), np.int64), mended)
        # Tracks without notes are left out.
        columns[0] = np.unique(columns[0], return_inverse=True)[1]
        end = int((columns[3] + columns[5]).max())

        def placed(found: dict) -> dict:
            ticks = {(tick(time) if time else 0): value for time, value in found.items()}
            return {at: value for at, value in ticks.items() if at < end}

        return Score(
            ticks_per_quarter,
            **typed(columns),
            tempos=changes({0: DEFAULT_BPM} | placed(self.tempos)),
            meters=tuple((at, *meter) for at, meter in changes(placed(self.meters))),
            keys=tuple((at, *key) for at, key in changes(placed(self.keys))),
            mended=mended[0],
        )


def _length(text: str) -> Fraction:
    """`3`, `/`, `//`, `3/2`, `/4` or nothing, which is 1."""
    over, slash, under = text.partition("/")
    below = int(under.strip("/") or 2 ** (1 + under.count("/"))) if slash else 1
    if below == 0:
        raise AbcError(f"a length of {text} is none")
    return Fraction(int(over or 1), below)


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text.split("%")[0].strip())
    except (ValueError, ZeroDivisionError):
        raise AbcError(f"found L:{text}, expected a length such as 1/8") from None
