"""A score as ABC for people and for the programs that they use.

What models are trained on (`data.abc.dialect`) is ABC as well, but in a form that few programs
draw: voices that appear as they sound, lengths that no note has, bars that are only counted. Here

- the header states title, meter, tempo and key, and each voice with its clef; `%%score` says which
  voices share a staff, that is, belong to one track;
- every voice fills every bar to the end, in lines of a few bars, by turns;
- lengths are those of notes, tied where need be, triplets are whole, and beams follow the beat;
- instruments are `%%MIDI program`, drums `%%MIDI channel 10`.

`data.notation.tunes` reads it back to the same score, velocity aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import count

from data.abc.dialect import KEY_TOKENS, MARKS, PITCHES
from data.music.score import Score
from data.notation.accidentals import Accidentals
from data.notation.lengths import Group, Symbol
from data.notation.spelling import Names
from data.notation.staves import Bar, Part, Staff, Voice, bars, beam_ticks, parts

VERSION = "%abc-2.1"
"""The first line of a file (ABC 2.1, 2.2): without it, music21 takes accidentals as of one note."""
BARS_OF_A_LINE, QUARTERS_OF_A_LINE = 4, 12
"""A line has so many bars, or more if they are short."""
SYMBOLS_OF_A_LINE = 26
"""A line ends before the bar with which more would stand side by side. Of 30 with many accidentals
some lines are too wide for abcm2ps."""
SCALE = 0.75
"""Of abcm2ps; smaller where a bar has more symbols than a line."""
UNIT = Fraction(1, 8)


def write(score: Score, title: str = "") -> str:
    """The text of a score that has notes, as one ABC tune."""
    measures, tracks = bars(score), parts(score)
    voices = [voice for part in tracks for staff in part.staves for voice in staff.voices]
    # Rests of a staff's first voice are seen, those of the others would cover its notes.
    rests = ["z" if n == 0 else "x" for p in tracks for s in p.staves for n in range(len(s.voices))]
    # abcjs takes a rest of a whole note, if it is seen, for a bar of the header's meter, if less.
    parted = Fraction(*measures[0].meter) < 1
    several = len(voices) > 1
    widest = max(_width(voices, number) for number in range(len(measures)))
    lines = [*_header(score, measures[0], tracks, title, widest), *_instruments(tracks)]
    tempos = dict(score.tempos[1:])
    beats = [beam_ticks(bar.meter, score.ticks_per_quarter) for bar in measures]
    least = QUARTERS_OF_A_LINE * score.ticks_per_quarter
    names = Names(score)
    accidentals = [Accidentals(names) for _ in voices]
    for first, last in _lines_of(measures, voices, least):
        for number, (voice, signs, rest) in enumerate(zip(voices, accidentals, rests), start=1):
            timed = tempos if number == 1 else {}
            written = [
                _bar(measures[n], voice[n], beats[n], signs, rest, parted, timed)
                for n in range(first, last)
            ]
            end = "|]" if last == len(measures) else "|"
            lines.append(
                f"[V:{number}] " * several
                + " | ".join(" ".join(bar.split()) for bar in written)
                + f" {end}"
            )
    return "\n".join(lines) + "\n"


def _header(score: Score, first: Bar, tracks: list[Part], title: str, widest: int) -> Iterator[str]:
    yield VERSION
    yield "X:1"
    if widest > SYMBOLS_OF_A_LINE:
        # No line breaks within a bar.
        yield f"%%scale {SCALE * SYMBOLS_OF_A_LINE / widest:.2f}"
    if title:
        yield f"T:{' '.join(title.split())}"
    clefs = [_clef(part, staff) for part in tracks for staff in part.staves for _ in staff.voices]
    if len(clefs) > 1:
        yield f"%%score {_score(tracks)}"
    yield f"M:{first.meter[0]}/{first.meter[1]}"
    yield f"L:{UNIT}"
    yield f"Q:1/4={score.tempos[0][1]}"
    # abc2midi would strum chords.
    yield "%%MIDI chordattack 0"
    if any(len(staff.voices) > 1 for part in tracks for staff in part.staves):
        # abcm2ps would make one chord of two voices and lose their ties. As `%%`, abcjs would warn.
        yield "I:combinevoices -1"
    if len(clefs) > 1:
        yield from (f"V:{number} clef={clef}" for number, clef in enumerate(clefs, start=1))
        yield _key(first)
    else:
        yield f"{_key(first)} clef={clefs[0]}"


def _score(tracks: list[Part]) -> str:
    """Which voices share a staff, (1 2), and which staves are of one track, {(1 2) 3}."""
    numbers, groups = count(1), []
    for part in tracks:
        on = [" ".join(str(next(numbers)) for _ in staff.voices) for staff in part.staves]
        staves = " ".join(f"({voices})" if " " in voices else voices for voices in on)
        groups.append(f"{{{staves}}}" if len(on) > 1 else staves)
    return " ".join(groups)


def _clef(part: Part, staff: Staff) -> str:
    return "perc" if part.is_drum else "bass" if staff.bass else "treble"


def _key(bar: Bar) -> str:
    return KEY_TOKENS[bar.key].strip("[]") if bar.key else "K:none"


def _instruments(tracks: list[Part]) -> Iterator[str]:
    """What each voice is played on; it must stand in the voice, after the header."""
    of = [part for part in tracks for staff in part.staves for _ in staff.voices]
    for number, part in enumerate(of, start=1):
        if len(of) > 1:
            yield f"V:{number}"
        yield "%%MIDI channel 10" if part.is_drum else f"%%MIDI program {part.program}"


def _lines_of(measures: list[Bar], voices: list[Voice], least: int) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of the bars of each line. least: ticks of a line of short bars."""
    first, full = 0, 0
    for number, bar in enumerate(measures):
        size = _width(voices, number)
        long = number - first >= BARS_OF_A_LINE and bar.start - measures[first].start >= least
        if number > first and (long or full + size > SYMBOLS_OF_A_LINE):
            yield first, number
            first, full = number, 0
        full += size
    yield first, len(measures)


def _width(voices: list[Voice], bar: int) -> int:
    """How many symbols of a bar stand side by side."""
    return len({s.start for voice in voices for group in voice[bar] for s in group.symbols})


def _bar(
    bar: Bar,
    groups: list[Group],
    beat: int,
    accidentals: Accidentals,
    rest: str,
    parted: bool,
    tempos: dict[int, int],
) -> str:
    """What a voice has in a bar.

    beat: ticks from beam to beam. rest: the letter of its rests. parted: a rest of a whole note is
    written as two.
    """
    text = ""
    if bar.start and bar.new_meter:
        text += f"[M:{bar.meter[0]}/{bar.meter[1]}]"
    if bar.start and bar.new_key:
        text += f"[{_key(bar)}]"
    accidentals.begin(bar.key)
    for number, group in enumerate(groups):
        size, start = len(group.symbols), group.symbols[0].start
        if number and (start - bar.start) % beat == 0:
            # What is not spaced is beamed.
            text += " "
        # A tempo stands before the sign of a triplet.
        text += _tempo(tempos, start)
        if group.triplet:
            text += "(3" if size == 3 else f"(3:2:{size}"
        for nth, symbol in enumerate(group.symbols):
            text += _tempo(tempos, symbol.start) * (nth > 0)
            text += _symbol(symbol, accidentals, rest, parted)
    return " ".join(text.split())


def _tempo(tempos: dict[int, int], tick: int) -> str:
    return f"[Q:1/4={tempos[tick]}]" if tick in tempos else ""


def _symbol(symbol: Symbol, accidentals: Accidentals, rest: str, parted: bool) -> str:
    names = [
        MARKS[alteration] * shown + PITCHES[7 * octave + letter]
        for letter, alteration, octave, shown in accidentals.of(symbol)
    ]
    if rest == "x" and not names:
        # A beam over what is not seen has no length for abcm2ps.
        return f" x{_length(symbol.value / UNIT)} "
    if parted and not names and symbol.value == 1:
        return 2 * f"{rest}{_length(symbol.value / UNIT / 2)}"
    head = f"[{''.join(names)}]" if len(names) > 1 else "".join(names or rest)
    return head + _length(symbol.value / UNIT) + "-" * symbol.tied


def _length(units: Fraction) -> str:
    numerator = str(units.numerator) if units.numerator > 1 else ""
    return numerator if units.denominator == 1 else f"{numerator}/{units.denominator}"
