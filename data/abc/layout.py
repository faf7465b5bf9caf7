"""The layout of scores as text: what each voice writes in each bar, with its rests and ties.

Pieces are laid end to end in time. Chords are cut at bar lines into stretches, which are tied, and
rests fill the gaps.

A cell is what one voice writes in one bar. A voice has a cell where it sounds, where the meter or
key changes, and in the first bar. The bars without a cell are counted (`Z4`) at its next cell.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data.abc.dialect import SYSTEM_QUARTERS
from data.abc.voices import Bools, Chords, Ints, Voices, voices
from data.music.maps import DEFAULT_BPM
from data.music.score import Score

NONE = -1


class Timeline(NamedTuple):
    """Pieces end to end. Ticks, bars, tracks and voices are numbered through all of them."""

    start: Ints
    """(pieces,) the tick at which each begins."""
    bar: Ints
    """(bars + 1,) the ticks of bar lines; a piece ends where the next begins."""
    bar_piece: Ints
    """(bars,) the piece of each bar."""
    system: Ints
    """(bars,) the system of each bar; voices take turns by systems."""
    cut_short: Bools
    """(bars,) whether the bar is shorter than its meter."""
    meters: Ints
    """(n, 3) tick, numerator, denominator."""
    keys: Ints
    """(n, 4) tick, sharps, minor, and whether the key is written."""
    tempos: Ints
    """(n, 2) tick, quarters a minute; only tempos that are written."""

    def bar_of(self, ticks: Ints) -> Ints:
        return np.searchsorted(self.bar, ticks, side="right") - 1


class Cells(NamedTuple):
    """The cells of all pieces, in the order of the text."""

    voice: Ints
    bar: Ints
    filled: Bools
    """Whether the bar is written from end to end; other cells only state changes."""
    key: Ints
    """(system, voice, bar) as one number, in ascending order."""


class Stretches(NamedTuple):
    """What chords and rests amount to within single bars, in the order of the text."""

    cell: Ints
    start: Ints
    end: Ints
    chord: Ints
    """An index into `Chords`, or NONE for a rest. A stretch of no length only marks a place."""
    tied: Bools


class Layout(NamedTuple):
    timeline: Timeline
    chords: Chords
    voices: Voices
    cells: Cells
    stretches: Stretches


def lay_out(scores: Sequence[Score]) -> Layout:
    """The layout of scores that all have notes and the same ticks per quarter."""
    timeline = _timeline(scores)
    chords, lines = voices(scores, np.append(timeline.start, timeline.bar[-1]))
    cells, stretches = _cells(timeline, chords, lines)
    return Layout(timeline, chords, lines, cells, stretches)


def _timeline(scores: Sequence[Score]) -> Timeline:
    bars = [score.bars for score in scores]
    start = np.cumsum([0, *(lines[-1] for lines in bars)])
    bar = np.concatenate([*(lines[:-1] + at for lines, at in zip(bars, start)), start[-1:]])
    bar_piece = np.repeat(np.arange(len(scores)), [len(lines) - 1 for lines in bars])
    meters, keys, tempos = [], [], []
    for score, at in zip(scores, start.tolist()):
        meters += [(at + tick, *meter) for tick, *meter in score.meters]
        if not score.keys or score.keys[0][0]:
            keys.append((at, 0, False, False))
        keys += [(at + tick, sharps, minor, True) for tick, sharps, minor in score.keys]
        changed = score.tempos[int(score.tempos[0] == (0, DEFAULT_BPM)) :]
        tempos += [(at + tick, bpm) for tick, bpm in changed]
    meter = np.array(meters, np.int64).reshape(-1, 3)
    whole_note = 4 * scores[0].ticks_per_quarter
    full = meter[:, 1] * whole_note // meter[:, 2]
    # The smallest power of two of bars that lasts SYSTEM_QUARTERS: 1 in 3/4, 4 in 1/4.
    least = SYSTEM_QUARTERS * scores[0].ticks_per_quarter
    in_system = 1 << np.ceil(np.log2(np.maximum(least / full, 1))).astype(np.int64)
    ruling = np.searchsorted(meter[:, 0], bar[:-1], side="right") - 1
    nth = np.arange(len(bar_piece)) - np.searchsorted(bar, meter[:, 0])[ruling]
    return Timeline(
        start[:-1],
        bar,
        bar_piece,
        np.cumsum(nth % in_system[ruling] == 0) - 1,
        np.diff(bar) < full[ruling],
        meter,
        np.array(keys, np.int64).reshape(-1, 4),
        np.array(tempos, np.int64).reshape(-1, 2),
    )


def _cut(onset: Ints, end: Ints, cuts: Ints) -> tuple[Ints, Ints, Ints, Bools]:
    """Cut intervals at sorted `cuts`: (source, start, end, goes_on) of what they are cut into.

    source: the index of the interval. goes_on: whether more of the interval follows.
    """
    first = np.searchsorted(cuts, onset, side="right")
    counts = np.searchsorted(cuts, end, side="left") - first + 1
    source = np.repeat(np.arange(len(onset)), counts)
    nth = places(counts)
    goes_on = nth + 1 < counts[source]
    at = first[source] + nth
    start = np.where(nth > 0, cuts[at - 1], onset[source])
    stop = np.where(goes_on, cuts[np.minimum(at, len(cuts) - 1)], end[source])
    return source, start, stop, goes_on


def places(sizes: Ints) -> Ints:
    """0 .. size-1 for each of the sizes, one after another."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)


def _cells(timeline: Timeline, chords: Chords, lines: Voices) -> tuple[Cells, Stretches]:
    """Cut chords at bar lines, and those of first voices at changes of tempo; add the rests."""
    leads = lines.number[chords.voice] == 1
    ticks = timeline.tempos[:, 0]
    segments = [
        (np.flatnonzero(which), *_cut(chords.onset[which], chords.end[which], cuts))
        for which, cuts in ((leads, np.union1d(timeline.bar, ticks)), (~leads, timeline.bar))
    ]
    source = np.concatenate([which[source] for which, source, *_ in segments])
    start, end, tied = (np.concatenate([segment[n] for segment in segments]) for n in (2, 3, 4))
    voice, bar = chords.voice[source], timeline.bar_of(start)

    def keyed(bar: Ints, voice: Ints) -> Ints:
        system = timeline.system[bar]
        return (system * len(lines.piece) + voice) * len(timeline.bar_piece) + bar

    told_bar, told_voice = _telling(timeline, lines, voice, bar)
    lead = np.flatnonzero(lines.number == 1)
    tempo_bar = timeline.bar_of(ticks)
    tempo_voice = lead[timeline.bar_piece[tempo_bar]]
    sounding, tempo, told = (
        keyed(bar, voice),
        keyed(tempo_bar, tempo_voice),
        keyed(told_bar, told_voice),
    )
    within = ticks > timeline.bar[tempo_bar]
    short = timeline.cut_short[told_bar]
    key = np.sort(np.concatenate([sounding, tempo, told]), kind="stable")
    key = key[np.append(True, key[1:] > key[:-1])]
    filled = np.zeros(len(key), bool)
    cell = np.searchsorted(key, sounding)
    tempo_cell = np.searchsorted(key, tempo)
    filled[cell] = True
    filled[tempo_cell[within]] = True
    filled[np.searchsorted(key, told[short])] = True
    rest, bar_of_cell = np.divmod(key, len(timeline.bar_piece))
    cells = Cells(rest % len(lines.piece), bar_of_cell, filled, key)

    # Stretches of no length mark where a rest may begin: at filled cells and at new tempos.
    full = np.flatnonzero(filled)
    mark = np.concatenate([timeline.bar[bar_of_cell[full]], ticks[within]])
    marks = np.concatenate([full, tempo_cell[within]])
    return cells, _with_rests(
        timeline,
        cells,
        Stretches(
            np.concatenate([marks, cell]),
            np.concatenate([mark, start]),
            np.concatenate([mark, end]),
            np.concatenate([np.full(len(marks), NONE), source]),
            np.concatenate([np.zeros(len(marks), bool), tied]),
        ),
    )


def _telling(timeline: Timeline, lines: Voices, voice: Ints, bar: Ints) -> tuple[Ints, Ints]:
    """(bar, voice) of the cells that are needed even where nothing sounds.

    All voices are named in the first bar. A bar that is cut short by a change of meter cannot be
    counted by `Z`. A change of meter or key is stated by every voice that has yet to sound, and in
    any case by the first voice.
    """
    first_bar = np.searchsorted(timeline.bar, timeline.start)
    special = timeline.cut_short.copy()
    special[np.searchsorted(timeline.bar, timeline.meters[:, 0])] = True
    special[np.searchsorted(timeline.bar, timeline.keys[:, 0])] = True
    special[first_bar] = True
    last = np.zeros(len(lines.piece), np.int64)
    np.maximum.at(last, voice, bar)
    last[lines.number == 1] = len(timeline.bar_piece)
    bars, which = _times_voices(np.flatnonzero(special), timeline.bar_piece, lines)
    kept = bars <= last[which]
    return bars[kept], which[kept]


def _times_voices(bars: Ints, bar_piece: Ints, lines: Voices) -> tuple[Ints, Ints]:
    """Every one of `bars` with every voice of its piece."""
    pieces = np.arange(int(lines.piece[-1]) + 1)
    first = np.searchsorted(lines.piece, pieces)
    count = np.diff(np.append(first, len(lines.piece)))
    piece = bar_piece[bars]
    return np.repeat(bars, count[piece]), np.repeat(first[piece], count[piece]) + places(
        count[piece]
    )


def _with_rests(timeline: Timeline, cells: Cells, sounds: Stretches) -> Stretches:
    """Add rests up to the end of every filled cell, in the order of the text."""
    span = int(np.diff(timeline.bar).max()) + 1
    into = sounds.start - timeline.bar[cells.bar[sounds.cell]]
    place = (sounds.cell * span + into) * 2 + (sounds.end > sounds.start)
    # Marks and sounds are already in order within a voice. The stable sort merges such runs, which
    # takes a sixth of the time.
    order = np.argsort(place, kind="stable")
    cell, start, end = sounds.cell[order], sounds.start[order], sounds.end[order]
    stop = timeline.bar[cells.bar[cell] + 1]
    same = cell[1:] == cell[:-1]
    stop[:-1][same] = start[1:][same]
    row = np.repeat(np.arange(len(order)), 1 + (stop > end))
    rest = np.append(False, row[1:] == row[:-1])
    return Stretches(
        cell[row],
        np.where(rest, end[row], start[row]),
        np.where(rest, stop[row], end[row]),
        np.where(rest, NONE, sounds.chord[order[row]]),
        sounds.tied[order[row]] & ~rest,
    )
