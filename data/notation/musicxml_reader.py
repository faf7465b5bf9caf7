"""MusicXML as programs write it, read into scores: plain (.musicxml) or packed (.mxl).

As with ABC (`data.notation.tunes`), what is written is read once, in the order of the page: repeats
and endings are not played out. Grace notes, cues, ornaments, dynamics, words and layout are passed
over. Each instrument of a part is a track; before an upbeat come rests, so that a bar begins behind
it. What `data.notation.musicxml` writes is read as the same notes.

A file comes from anyone: entities are refused, and no other file is opened.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import xml.etree.ElementTree as ET
import zipfile
import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from data.abc.reader import DEFAULT_VELOCITY
from data.music.maps import DEFAULT_BPM, DEFAULT_METER, MAX_BPM, MIN_BPM, changes
from data.music.quantise import disjoint
from data.music.score import Score, typed

MAX_BYTES = 64 * 2**20
"""Of the text of a file, unpacked."""
MAX_QUARTERS = 100_000
"""As of a MIDI file."""
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_BEATS = {"whole": Fraction(4), "half": Fraction(2), "quarter": Fraction(1)}
_BEATS |= {"eighth": Fraction(1, 2), "16th": Fraction(1, 4)}
_NUMBER = re.compile(r"\s*([+-]?\d{1,9}(?:\.\d{1,20})?)\s*")
_DRUM_CHANNEL = 10
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, EOFError, RuntimeError, ValueError, IndexError),
)
"""What Python's reader of zips raises for damaged ones."""


class MusicXmlError(ValueError):
    """A file that is no MusicXML, or holds no notes; the message is one line."""


def read(content: bytes, ticks_per_quarter: int) -> Score:
    """The score of a file. Raises MusicXmlError.

    Lengths that are not on the grid are rounded; the rules are those of `data.music.quantise`.
    """
    root = _root(_unpacked(content))
    instruments = {part.get("id", ""): _instruments(part) for part in root.iter("score-part")}
    parts = []
    for part in root.findall("part"):
        one = _Part(instruments.get(part.get("id", ""), {}))
        for measure in part.findall("measure"):
            one.measure(measure)
        parts.append(one)
    return _score(parts, ticks_per_quarter)


def _unpacked(content: bytes) -> bytes:
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            listed = _root(_member(packed, "META-INF/container.xml"))
            first = listed.find(".//{*}rootfile")
            return _member(packed, first.get("full-path", "") if first is not None else "")
    except KeyError:
        raise MusicXmlError("the packed file does not say where its score is") from None
    except MusicXmlError:
        raise
    except _DAMAGED as error:
        raise MusicXmlError(f"the packed file is damaged: {' '.join(str(error).split())}") from None


def _member(packed: zipfile.ZipFile, name: str) -> bytes:
    with packed.open(name) as member:
        return member.read(MAX_BYTES + 1)


def _root(text: bytes) -> ET.Element:
    if len(text) > MAX_BYTES:
        raise MusicXmlError(f"it has more than {MAX_BYTES:,} bytes")
    # In whatever encoding.
    if b"<!ENTITY" in text.replace(b"\0", b""):
        raise MusicXmlError("it defines entities, which no score needs")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, LookupError, ValueError) as error:
        raise MusicXmlError(f"no XML: {error}") from None
    if root.tag == "score-timewise":
        raise MusicXmlError("it is a score by measures (score-timewise), expected one by parts")
    return root


@dataclass(frozen=True)
class _Instrument:
    program: int = 0
    is_drum: bool = False
    unpitched: int | None = None
    """The pitch of its notes that have none."""


def _instruments(part: ET.Element) -> dict[str, _Instrument]:
    """By their ids, in the order of the file."""
    found = {}
    for midi in part.findall("midi-instrument"):
        drum = midi.findtext("midi-channel", "").strip() == str(_DRUM_CHANNEL)
        program, pitch = (_from_one(midi.findtext(f"midi-{x}")) for x in ("program", "unpitched"))
        found[midi.get("id", "")] = _Instrument(0 if drum else program or 0, drum, pitch)
    return found


def _from_one(text: str | None) -> int | None:
    """A number of MIDI, which counts from 1 here."""
    number = _number(text)
    return None if number is None else min(max(int(number) - 1, 0), 127)


def _number(text: str | None) -> Fraction | None:
    """None for what is no number, or one of absurd length."""
    found = _NUMBER.fullmatch(text or "")
    return Fraction(found[1]) if found else None


_Place = tuple[int, Fraction]
"""The number of a measure, and quarters from its start."""


@dataclass
class _Part:
    instruments: dict[str, _Instrument]
    lengths: list[Fraction] = field(default_factory=list)
    """Quarters of each measure."""
    notes: list[list] = field(default_factory=list)
    """Instrument, place, pitch, length."""
    meters: dict[int, tuple[int, int]] = field(default_factory=dict)
    keys: dict[int, tuple[int, bool]] = field(default_factory=dict)
    """Both by the number of the measure."""
    tempos: dict[_Place, int] = field(default_factory=dict)
    divisions: Fraction = Fraction(1)
    """Of a quarter."""
    transposed: int = 0
    at: Fraction = Fraction()
    onset: Fraction = Fraction()
    """Of the latest note."""
    begin: Fraction = Fraction()
    """Of the measure."""
    tied: dict[tuple[int, str, str], tuple[int, Fraction]] = field(default_factory=dict)
    """The index of each note that goes on, and when it does, by its pitch, staff and voice."""

    def measure(self, measure: ET.Element) -> None:
        self.at = self.onset = end = Fraction()
        for child in measure:
            if child.tag == "note":
                self.note(child)
            elif child.tag in ("backup", "forward"):
                length = self.length(child)
                self.at = max(self.at + (length if child.tag == "forward" else -length), Fraction())
            elif child.tag == "attributes":
                self.attributes(child)
            elif child.tag in ("direction", "sound"):
                self.direction(child)
            end = max(end, self.at)
        self.lengths.append(end)
        self.begin += end

    def length(self, element: ET.Element) -> Fraction:
        """Quarters."""
        return max(_number(element.findtext("duration")) or Fraction(), Fraction()) / self.divisions

    def attributes(self, stated: ET.Element) -> None:
        number = len(self.lengths)
        divisions = _number(stated.findtext("divisions"))
        if divisions is not None and divisions > 0:
            self.divisions = divisions
        for moved in stated.findall("transpose"):
            chromatic, octaves = (
                int(_number(moved.findtext(x)) or 0) for x in ("chromatic", "octave-change")
            )
            self.transposed = chromatic + 12 * octaves
        fifths = _number(stated.findtext("key/fifths"))
        if fifths is not None and -7 <= fifths <= 7:
            minor = stated.findtext("key/mode", "").strip() == "minor"
            self.keys[number] = int(fifths), minor
        beats = [_number(each) for each in stated.findtext("time/beats", "").split("+")]
        unit = _number(stated.findtext("time/beat-type"))
        if unit and all(beats):
            self.meters[number] = int(sum(each or 0 for each in beats)), int(unit)

    def direction(self, said: ET.Element) -> None:
        sound = said if said.tag == "sound" else said.find("sound")
        bpm = _number(sound.get("tempo")) if sound is not None else None
        shown = said.find("direction-type/metronome")
        if bpm is None and shown is not None:
            beat = _BEATS.get(shown.findtext("beat-unit", "").strip(), Fraction(1))
            dotted = 2 - Fraction(1, 2 ** min(len(shown.findall("beat-unit-dot")), 4))
            bpm = (_number(shown.findtext("per-minute")) or 0) * beat * dotted
        if bpm:
            place = self.at + (_number(said.findtext("offset")) or Fraction()) / self.divisions
            self.tempos[len(self.lengths), max(place, Fraction())] = min(
                max(round(bpm), MIN_BPM), MAX_BPM
            )

    def note(self, note: ET.Element) -> None:
        if note.find("grace") is not None:
            return
        length = self.length(note)
        if note.find("chord") is None:
            self.onset = self.at
            self.at += length
        if note.find("rest") is not None or note.find("cue") is not None:
            return
        instrument = self.instrument(note)
        pitch = self.pitch(note, instrument)
        # What sounds and what is drawn: some programs write only the one, and some the other.
        ties = {tie.get("type") for tie in (*note.findall("tie"), *note.findall("notations/tied"))}
        line = pitch, note.findtext("staff", ""), note.findtext("voice", "")
        index = self.held(line, "stop" in ties)
        if index is None:
            index = len(self.notes)
            place = len(self.lengths), self.onset
            self.notes.append([instrument, place, pitch, Fraction()])
        self.notes[index][3] += length
        if "start" in ties:
            self.tied[line] = index, self.begin + self.onset + length

    def held(self, line: tuple[int, str, str], stops: bool) -> int | None:
        """The note that goes on here; in another voice, if in this one none does.

        stops: whether a tie is said to end here. Some programs only say where ties begin.
        """
        if stops and line not in self.tied:
            line = next((other for other in self.tied if other[0] == line[0]), line)
        index, until = self.tied.pop(line, (None, None))
        return index if stops or until == self.begin + self.onset else None

    def instrument(self, note: ET.Element) -> _Instrument:
        named = note.find("instrument")
        known = self.instruments.get(named.get("id", "")) if named is not None else None
        return known or next(iter(self.instruments.values()), _Instrument())

    def pitch(self, note: ET.Element, instrument: _Instrument) -> int:
        pitch = note.find("pitch")
        name = "" if pitch is not None else "display-"
        if pitch is None:
            if instrument.unpitched is not None:
                return instrument.unpitched
            pitch = note.find("unpitched")
        if pitch is None:
            raise MusicXmlError(f"measure {len(self.lengths) + 1}: a note is without a pitch")
        step = _STEPS.get(pitch.findtext(f"{name}step", "").strip())
        octave = _number(pitch.findtext(f"{name}octave"))
        alter = _number(pitch.findtext("alter")) or 0
        if step is None or octave is None:
            raise MusicXmlError(f"measure {len(self.lengths) + 1}: a pitch is without step, octave")
        # Microtones become the semitone below.
        found = 12 * (int(octave) + 1) + step + int(alter // 1) + self.transposed
        if not 0 <= found <= 127:
            raise MusicXmlError(f"measure {len(self.lengths) + 1}: {found} is no MIDI pitch")
        return found


def _score(parts: list[_Part], ticks_per_quarter: int) -> Score:
    if not any(part.notes for part in parts):
        raise MusicXmlError("it holds no notes")
    meters: dict[int, tuple[int, int]] = {}
    mended: list[dict[str, int]] = [{}]
    for number, (beats, unit) in sorted(parts[0].meters.items()):
        known = unit in (1, 2, 4, 8, 16, 32) and 4 * ticks_per_quarter % unit == 0
        if known and 1 <= beats < 256:
            meters[number] = beats, unit
        else:
            mended[0]["meter"] = mended[0].get("meter", 0) + 1
    starts = _starts(parts, meters)

    def tick(number: int, quarters: Fraction) -> int:
        return int((starts[number] + quarters) * ticks_per_quarter + Fraction(1, 2))

    rows, tracks = [], dict[tuple[int, int, bool], int]()
    for number, part in enumerate(parts):
        for instrument, (measure, onset), pitch, length in part.notes:
            played_on = number, instrument.program, instrument.is_drum
            track = tracks.setdefault(played_on, len(tracks))
            begin, stop = tick(measure, onset), tick(measure, onset + length)
            rows.append((track, *played_on[1:], begin, pitch, stop - begin, DEFAULT_VELOCITY))
    columns, _ = disjoint(np.array(rows, np.int64).T, np.zeros(len(rows), np.int64), mended)
    end = int((columns[3] + columns[5]).max())
    if end > MAX_QUARTERS * ticks_per_quarter:
        raise MusicXmlError(f"its notes last {end // ticks_per_quarter:,} quarters")

    def placed(found: dict[_Place, Any]) -> dict[int, Any]:
        ticks = {tick(*at) if any(at) else 0: value for at, value in sorted(found.items())}
        return {at: value for at, value in ticks.items() if at < end}

    def by_measure(found: dict[int, Any]) -> dict[int, Any]:
        return placed({(number, Fraction()): value for number, value in found.items()})

    tempos = {at: bpm for part in reversed(parts) for at, bpm in part.tempos.items()}
    stated = changes({0: DEFAULT_METER} | by_measure(meters))
    return Score(
        ticks_per_quarter,
        **typed(columns),
        tempos=changes({0: DEFAULT_BPM} | placed(tempos)),
        meters=tuple((at, *meter) for at, meter in stated),
        keys=tuple((at, *key) for at, key in changes(by_measure(parts[0].keys))),
        mended=mended[0],
    )


def _starts(parts: list[_Part], meters: dict[int, tuple[int, int]]) -> list[Fraction]:
    """Quarters before each measure, which lasts as long as it does in the longest part."""
    starts, meter, now = list[Fraction](), DEFAULT_METER, Fraction()
    for number in range(max(len(part.lengths) for part in parts)):
        meter = meters.get(number, meter)
        full = 4 * Fraction(*meter)
        written = max(
            (part.lengths[number] for part in parts if number < len(part.lengths)),
            default=Fraction(),
        )
        if number == 0 and 0 < written < full and 1 not in meters:
            now = full - written
        starts.append(now)
        now += written or full
    if now > MAX_QUARTERS:
        raise MusicXmlError(f"its measures last {int(now):,} quarters")
    return starts
