"""A piece as engraved music: MEI written here, which verovio turns into SVG.

verovio reads ABC too, but loses single tuplets and changes of key; MEI is exact. Each track is a
staff. Durations that no single note has are written with ties; thirds are tuplets.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from data.abc.dialect import key_alteration, spelling
from data.abc.voices import voices
from data.music.score import Score

MAX_BARS = 64
MAX_STAVES = 8


def engrave(score: Score) -> str:
    """SVG of the first `MAX_BARS` bars; empty without verovio or with over `MAX_STAVES` staves."""
    try:
        import verovio
    except ImportError:
        return ""
    if len(np.unique(score.track)) > MAX_STAVES:
        return ""
    verovio.enableLog(verovio.LOG_OFF)
    kit = verovio.toolkit()
    kit.setOptions(
        {
            "adjustPageHeight": True,
            "pageWidth": 1600,
            "pageHeight": 60_000,
            "scale": 40,
            "footer": "none",
            "header": "none",
            "svgViewBox": True,
            "svgRemoveXlink": True,
            "breaks": "auto",
            **{f"pageMargin{side}": 20 for side in ("Top", "Bottom", "Left", "Right")},
        }
    )
    return kit.renderToSVG(1) if kit.loadData(mei(score)) else ""


@dataclass(frozen=True)
class _Sound:
    """A chord, or a rest, or a part of one within a bar."""

    start: int
    end: int
    pitches: tuple[int, ...]
    before: bool
    """Whether it is tied to the bar before."""
    after: bool


def mei(score: Score) -> str:
    tracks = np.unique(score.track).tolist()
    bars = score.bars.tolist()[: MAX_BARS + 1]
    layers = _layers(score)
    meter, key, section = (0, 0), None, []
    for number, (start, end) in enumerate(itertools.pairwise(bars), start=1):
        now_meter = next((n, d) for tick, n, d in reversed(score.meters) if tick <= start)
        now_key = next(((s, m) for tick, s, m in reversed(score.keys) if tick <= start), (0, False))
        if (now_meter, now_key) != (meter, key):
            if number > 1:
                section.append(_score_def(now_meter, now_key, ""))
            else:
                first = _score_def(now_meter, now_key, _staves(score, tracks))
            meter, key = now_meter, now_key
        staves, quarter = [], score.ticks_per_quarter
        for index, track in enumerate(tracks, start=1):
            written: list[str] = []
            for layer in layers[track]:
                inside = _inside(layer, start, end)
                if any(sound.pitches for sound in inside) or not written:
                    written.append(_bar(inside, start, end, meter, now_key, quarter))
            inner = "".join(f'<layer n="{n}">{v}</layer>' for n, v in enumerate(written, start=1))
            staves.append(f'<staff n="{index}">{inner}</staff>')
        section.append(f'<measure n="{number}">{"".join(staves)}</measure>')
    return (
        '<mei xmlns="http://www.music-encoding.org/ns/mei"><music><body><mdiv><score>'
        f"{first}<section>{''.join(section)}</section></score></mdiv></body></music></mei>"
    )


def _score_def(meter: tuple[int, int], key: tuple[int, bool], staves: str) -> str:
    sharps = key[0]
    sign = f"{abs(sharps)}{'s' if sharps > 0 else 'f'}" if sharps else "0"
    time = f'meter.count="{meter[0]}" meter.unit="{meter[1]}"'
    return f'<scoreDef {time} keysig="{sign}">{staves}</scoreDef>'


def _staves(score: Score, tracks: list[int]) -> str:
    found = []
    for index, track in enumerate(tracks, start=1):
        bass = np.median(score.pitch[score.track == track]) < 55
        clef = 'clef.shape="F" clef.line="4"' if bass else 'clef.shape="G" clef.line="2"'
        found.append(f'<staffDef n="{index}" lines="5" {clef}/>')
    return f"<staffGrp>{''.join(found)}</staffGrp>"


def _layers(score: Score) -> dict[int, list[list[_Sound]]]:
    """The voices of each track, as lines of chords."""
    chords, lines = voices([score], score.bars[[0, -1]])
    # The tracks in order, and the index of each voice's track.
    tracks, number = np.unique(score.track), np.cumsum(~lines.merged) - 1
    layers: dict[int, list[list[_Sound]]] = {track: [] for track in tracks.tolist()}
    for voice, track in enumerate(tracks[number].tolist()):
        mine = np.flatnonzero(chords.voice == voice)
        layers[track].append(
            [
                _Sound(onset, end, tuple(chords.pitch[first : first + size].tolist()), False, False)
                for onset, end, first, size in zip(
                    *(column[mine].tolist() for column in chords[1:5]), strict=True
                )
            ]
        )
    return layers


def _inside(layer: list[_Sound], start: int, end: int) -> list[_Sound]:
    """What a layer sounds from `start` to `end`, rests filled in."""
    found, at = [], start
    for sound in layer:
        if sound.end > start and sound.start < end:
            first, last = max(sound.start, start), min(sound.end, end)
            if first > at:
                found.append(_Sound(at, first, (), False, False))
            found.append(_Sound(first, last, sound.pitches, sound.start < start, sound.end > end))
            at = last
    if at < end:
        found.append(_Sound(at, end, (), False, False))
    return found


def _bar(
    sounds: list[_Sound],
    start: int,
    end: int,
    meter: tuple[int, int],
    key: tuple[int, bool],
    quarter: int,
) -> str:
    if not any(sound.pitches for sound in sounds):
        return "<mRest/>"
    altered: set[int] = set()
    beat = 3 * quarter // 2 if meter[1] == 8 and meter[0] % 3 == 0 else quarter
    groups: list[list[_Sound]] = []
    for sound in sounds:
        # A tuplet takes in neighbours until their sum is a whole number of 32nd notes.
        open_ = bool(groups) and sum(s.end - s.start for s in groups[-1]) * 8 % quarter != 0
        if open_:
            groups[-1].append(sound)
        else:
            groups.append([sound])
    parts: list[tuple[int, bool, str]] = []
    for group in groups:
        ticks = [sound.end - sound.start for sound in group]
        thirds = any(t * 8 % quarter for t in ticks)
        drawn, short = [], True
        for sound in group:
            for text, beamed in _notes(sound, key, altered, quarter, thirds):
                drawn.append(text)
                short = short and beamed
        place = (group[0].start - start) // beat
        if thirds:
            inner = "".join(drawn)
            inner = f"<beam>{inner}</beam>" if short and len(drawn) > 1 else inner
            parts.append((-1, False, f'<tuplet num="3" numbase="2">{inner}</tuplet>'))
        elif len(drawn) == 1:
            parts.append((place, short, drawn[0]))
        else:
            parts += [(-1, False, text) for text in drawn]
    beams = []
    for (place, short), run in itertools.groupby(parts, key=lambda part: part[:2]):
        texts = [text for _, _, text in run]
        joined = "".join(texts)
        beams.append(
            f"<beam>{joined}</beam>" if short and place >= 0 and len(texts) > 1 else joined
        )
    return "".join(beams)


def _notes(
    sound: _Sound, key: tuple[int, bool], altered: set[int], quarter: int, thirds: bool
) -> list[tuple[str, bool]]:
    """Each written note of a sound, and whether it has a flag."""
    written = (sound.end - sound.start) / quarter * (1.5 if thirds else 1)
    lengths = list(_values(written))
    found = []
    for number, (name, dots) in enumerate(lengths):
        before = sound.before or number > 0
        after = sound.after or number < len(lengths) - 1
        tie = {(True, True): "m", (True, False): "t", (False, True): "i"}.get((before, after), "")
        length = f'dur="{name}"' + (f' dots="{dots}"' if dots else "")
        flagged = name.isdigit() and int(name) >= 8 and bool(sound.pitches)
        if not sound.pitches:
            found.append((f"<rest {length}/>", False))
            continue
        heads = [_head(pitch, key, altered, tie, before) for pitch in sound.pitches]
        if len(heads) == 1:
            found.append((f"<note {length} {heads[0]}/>", flagged))
        else:
            inner = "".join(f"<note {head}/>" for head in heads)
            found.append((f"<chord {length}>{inner}</chord>", flagged))
    return found


_LENGTHS = [
    (2.0**power * factor, power, dots)
    for power in range(3, -6, -1)
    for dots, factor in ((2, 1.75), (1, 1.5), (0, 1.0))
]
"""Length in quarters, power of two and dots of every written note value, longest first."""


def _values(quarters: float) -> list[tuple[str, int]]:
    """Plain, dotted and double-dotted notes that add up to this length, longest first."""
    found = []
    for length, power, dots in _LENGTHS:
        while quarters >= length - 1e-9:
            found.append((_name(power), dots))
            quarters -= length
    return found


def _name(power: int) -> str:
    return "breve" if power == 3 else str(2 ** (2 - power))


def _head(pitch: int, key: tuple[int, bool], altered: set[int], tie: str, before: bool) -> str:
    letter, alteration, octave = spelling(pitch, *key)
    own = key_alteration(letter, key[0])
    name = {1: "s", -1: "f", 0: "n"}[alteration]
    shown = (alteration != own or letter in altered) and not before
    if alteration != own:
        altered.add(letter)
    accidental = f'accid="{name}"' if shown else f'accid.ges="{name}"' if alteration else ""
    tied = f'tie="{tie}"' if tie else ""
    return f'pname="{"cdefgab"[letter]}" oct="{octave - 1}" {accidental} {tied}'
