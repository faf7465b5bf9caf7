"""A score as MusicXML, which notation programs open; readable by music21 among others.

It is written here rather than by music21, which takes seconds a piece and makes values of its own.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from fractions import Fraction
from itertools import groupby
from typing import NamedTuple

from data.music.score import Score
from data.notation.accidentals import Accidentals
from data.notation.lengths import Group, Symbol
from data.notation.spelling import Names
from data.notation.staves import Bar, Part, Staff, bars, beam_ticks, parts

TYPES = {Fraction(2): "breve", Fraction(1): "whole", Fraction(1, 2): "half"}
TYPES |= {Fraction(1, 4): "quarter", Fraction(1, 8): "eighth", Fraction(1, 16): "16th"}
TYPES |= {Fraction(1, 32): "32nd", Fraction(1, 64): "64th", Fraction(1, 128): "128th"}
_BEAMS = {(True, True): "continue", (True, False): "end", (False, True): "begin"}
"""By whether what stands before and after has a beam, too."""
_ACCIDENTALS = {-1: "flat", 0: "natural", 1: "sharp"}
DRUM_CHANNEL = 10


def write(score: Score, title: str = "", seam: int = 0, tempos: bool = True) -> str:
    """The text of a MusicXML file (4.0, partwise) of a score that has notes.

    seam: a tick at which a bar line is double. tempos: whether they are stated.
    """
    root = ET.Element("score-partwise", version="4.0")
    if title:
        ET.SubElement(ET.SubElement(root, "work"), "work-title").text = title
    measures, tracks, names = bars(score), parts(score), Names(score)
    listed = ET.SubElement(root, "part-list")
    for number, part in enumerate(tracks, start=1):
        _listed(listed, part, number)
    for number, part in enumerate(tracks, start=1):
        written = ET.SubElement(root, "part", id=f"P{number}")
        stated = dict(score.tempos) if tempos and number == 1 else {}
        _Writer(score, names, part, stated, seam).measures(written, measures)
    ET.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ET.tostring(root, encoding="unicode") + "\n"


def _listed(parent: ET.Element, part: Part, number: int) -> None:
    listed = ET.SubElement(parent, "score-part", id=f"P{number}")
    ET.SubElement(listed, "part-name").text = "Drums" if part.is_drum else ""
    instrument = ET.SubElement(listed, "score-instrument", id=f"P{number}-I")
    ET.SubElement(instrument, "instrument-name").text = "Drums" if part.is_drum else ""
    midi = ET.SubElement(listed, "midi-instrument", id=f"P{number}-I")
    if part.is_drum:
        ET.SubElement(midi, "midi-channel").text = str(DRUM_CHANNEL)
    else:
        # Programs count from 1 here.
        ET.SubElement(midi, "midi-program").text = str(part.program + 1)


class _At(NamedTuple):
    voice: int
    """Of the part, from 1."""
    staff: int
    seen: bool
    """Whether its rests are."""


class _Writer:
    """One part."""

    def __init__(
        self, score: Score, names: Names, part: Part, tempos: dict[int, int], seam: int
    ) -> None:
        self.part, self.tempos, self.seam = part, tempos, seam
        self.quarter = score.ticks_per_quarter
        self.signs = [Accidentals(names) for staff in part.staves for _ in staff.voices]

    def measures(self, parent: ET.Element, measures: list[Bar]) -> None:
        for number, bar in enumerate(measures):
            measure = ET.SubElement(parent, "measure", number=str(number + 1))
            self.attributes(measure, bar, first=number == 0)
            voice = 0
            for nth, staff in enumerate(self.part.staves, start=1):
                for upper, written in enumerate(staff.voices):
                    if voice:
                        back = ET.SubElement(measure, "backup")
                        ET.SubElement(back, "duration").text = str(bar.end - bar.start)
                    self.signs[voice].begin(bar.key)
                    voice += 1
                    tempos = self.tempos if voice == 1 else {}
                    beams = _beams(written[number], bar, beam_ticks(bar.meter, self.quarter))
                    for group in written[number]:
                        # Rests of a staff's second voice would cover the notes of its first.
                        at = _At(voice, nth, seen=upper == 0)
                        self.group(measure, group, at, tempos, beams)
            if bar.end == self.seam:
                line = ET.SubElement(measure, "barline", location="right")
                ET.SubElement(line, "bar-style").text = "light-light"

    def attributes(self, measure: ET.Element, bar: Bar, first: bool) -> None:
        if not (first or bar.new_meter or bar.new_key):
            return
        stated = ET.SubElement(measure, "attributes")
        if first:
            ET.SubElement(stated, "divisions").text = str(self.quarter)
        if bar.new_key and bar.key:
            key = ET.SubElement(stated, "key")
            ET.SubElement(key, "fifths").text = str(bar.key[0])
            ET.SubElement(key, "mode").text = "minor" if bar.key[1] else "major"
        if bar.new_meter:
            time = ET.SubElement(stated, "time")
            ET.SubElement(time, "beats").text, ET.SubElement(time, "beat-type").text = map(
                str, bar.meter
            )
        if first:
            ET.SubElement(stated, "staves").text = str(len(self.part.staves))
            for number, staff in enumerate(self.part.staves, start=1):
                self.clef(stated, staff, number)

    def clef(self, stated: ET.Element, staff: Staff, number: int) -> None:
        clef = ET.SubElement(stated, "clef", number=str(number))
        sign, line = (
            ("percussion", 2) if self.part.is_drum else ("F", 4) if staff.bass else ("G", 2)
        )
        ET.SubElement(clef, "sign").text = sign
        ET.SubElement(clef, "line").text = str(line)

    def group(
        self,
        measure: ET.Element,
        group: Group,
        at: _At,
        tempos: dict[int, int],
        beams: dict[int, list[str]],
    ) -> None:
        last = len(group.symbols) - 1
        for nth, symbol in enumerate(group.symbols):
            if symbol.start in tempos:
                direction = ET.SubElement(measure, "direction", placement="above")
                shown = ET.SubElement(ET.SubElement(direction, "direction-type"), "metronome")
                ET.SubElement(shown, "beat-unit").text = "quarter"
                ET.SubElement(shown, "per-minute").text = str(tempos[symbol.start])
                ET.SubElement(direction, "sound", tempo=str(tempos[symbol.start]))
            bracket = {0: "start", last: "stop"}.get(nth, "") if group.triplet and last else ""
            drawn = beams.get(symbol.start, [])
            self.symbol(measure, symbol, group.triplet, bracket, at, drawn)

    def symbol(
        self,
        measure: ET.Element,
        symbol: Symbol,
        triplet: bool,
        bracket: str,
        at: _At,
        beams: list[str],
    ) -> None:
        """One note element for each note of a chord."""
        names = self.signs[at.voice - 1].of(symbol) if symbol.pitches else [None]
        for nth, name in enumerate(names):
            note = ET.SubElement(measure, "note")
            if name is None and not at.seen:
                note.set("print-object", "no")
            if nth:
                ET.SubElement(note, "chord")
            if name is None:
                ET.SubElement(note, "rest")
            else:
                letter, alteration, octave, _ = name
                pitch = ET.SubElement(note, "pitch")
                ET.SubElement(pitch, "step").text = "CDEFGAB"[letter]
                if alteration:
                    ET.SubElement(pitch, "alter").text = str(alteration)
                # MIDI's octave 5 begins at middle C, which is C4.
                ET.SubElement(pitch, "octave").text = str(octave - 1)
            ET.SubElement(note, "duration").text = str(symbol.end - symbol.start)
            ties = ["stop"] * symbol.held + ["start"] * symbol.tied
            for kind in ties:
                ET.SubElement(note, "tie", type=kind)
            ET.SubElement(note, "voice").text = str(at.voice)
            ET.SubElement(note, "type").text = TYPES[symbol.plain]
            if symbol.value > symbol.plain:
                ET.SubElement(note, "dot")
            if name is not None and name[3]:
                ET.SubElement(note, "accidental").text = _ACCIDENTALS[name[1]]
            if triplet:
                ratio = ET.SubElement(note, "time-modification")
                ET.SubElement(ratio, "actual-notes").text = "3"
                ET.SubElement(ratio, "normal-notes").text = "2"
            ET.SubElement(note, "staff").text = str(at.staff)
            for level, drawn in enumerate(beams if nth == 0 else [], start=1):
                ET.SubElement(note, "beam", number=str(level)).text = drawn
            if ties or (bracket and nth == 0):
                marks = ET.SubElement(note, "notations")
                for kind in ties:
                    ET.SubElement(marks, "tied", type=kind)
                if bracket and nth == 0:
                    ET.SubElement(marks, "tuplet", type=bracket)


def _beams(groups: list[Group], bar: Bar, beat: int) -> dict[int, list[str]]:
    """By the tick of a symbol, what becomes of each of its beams, the longest first.

    Neighbours with flags are beamed up to the next beat at which a group begins.
    """
    runs, place = list[tuple[int, Symbol]](), 0
    for group in groups:
        if (group.symbols[0].start - bar.start) % beat == 0:
            place += 1
        for symbol in group.symbols:
            # What has no flag ends a beam, and begins none.
            place += not symbol.flags
            runs.append((place, symbol))
    found = dict[int, list[str]]()
    for _, run in groupby(runs, key=lambda each: each[0]):
        beamed = [symbol for _, symbol in run if symbol.flags]
        flags = [0, *(symbol.flags for symbol in beamed), 0]
        if len(beamed) > 1:
            for nth, symbol in enumerate(beamed, start=1):
                hook = "forward hook" if nth == 1 else "backward hook"
                found[symbol.start] = [
                    _BEAMS.get((flags[nth - 1] >= level, flags[nth + 1] >= level), hook)
                    for level in range(1, symbol.flags + 1)
                ]
    return found
