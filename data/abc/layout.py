"""Where the parts of scores come to stand on the page: voices, bars, cells, rests and ties.

Chords are cut at bar lines into stretches, tied, and rests fill the gaps; pieces lie end to end.

A cell is what a voice says of one bar. There is one where the voice sounds, where the meter or
key changes, and in the first bar; whole bars without any are counted (`Z4`) when it speaks again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data.abc.dialect import SYSTEM_QUARTERS
from data.abc.voices import Bools, Chords, Ints, Voices, voices
from data.music.maps import DEFAULT_BPM
from data.music.score import Score

NONE = -1


class Layout(NamedTuple):
    """Pieces end to end; ticks, bars, tracks and voices are counted through all of them."""

    start: Ints
    """(pieces,) tick at which each begins."""
    bar: Ints
    """(bars + 1,) ticks of bar lines; a piece ends where the next begins."""
    bar_piece: Ints
    """(bars,)"""
    system: Ints
    """(bars,) which bars stand together: voices alternate by these."""
    cut_short: Bools
    """(bars,) whether the bar is shorter than its meter."""
    meters: Ints
    """(n, 3) tick, numerator, denominator."""
    keys: Ints
    """(n, 4) tick, sharps, minor, whether it is to be written."""
    tempos: Ints
    """(n, 2) tick, quarters a minute; only those that are written."""

    def bar_of(self, ticks: Ints) -> Ints:
        return np.searchsorted(self.bar, ticks, side="right") - 1


class Cells(NamedTuple):
    """Sorted into the order of the text."""

    voice: Ints
    bar: Ints
    filled: Bools
    """Whether the bar is written from end to end; other cells only tell of changes."""
    key: Ints
    """(system, voice, bar) as one number, ascending."""


class Stretches(NamedTuple):
    """Parts of chords and rests that lie within one bar, in the order of the text."""

    cell: Ints
    start: Ints
    end: Ints
    chord: Ints
    """Index into `Chords`, or NONE for a rest. One of no length only marks a place."""
    tied: Bools


class Page(NamedTuple):
    layout: Layout
    chords: Chords
    voices: Voices
    cells: Cells
    stretches: Stretches


def lay_out(scores: Sequence[Score]) -> Page:
    """Scores with notes, all on one grid."""
    layout = _layout(scores)
    chords, lines = voices(scores, np.append(layout.start, layout.bar[-1]))
    cells, stretches = _cells(layout, chords, lines)
    return Page(layout, chords, lines, cells, stretches)


def _layout(scores: Sequence[Score]) -> Layout:
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
    grid = 4 * scores[0].ticks_per_quarter
    full = meter[:, 1] * grid // meter[:, 2]
    # The fewest bars, a power of two of them, that last SYSTEM_QUARTERS: 1 in 3/4, 4 in 1/4.
    least = SYSTEM_QUARTERS * scores[0].ticks_per_quarter
    in_system = 1 << np.ceil(np.log2(np.maximum(least / full, 1))).astype(np.int64)
    ruling = np.searchsorted(meter[:, 0], bar[:-1], side="right") - 1
    nth = np.arange(len(bar_piece)) - np.searchsorted(bar, meter[:, 0])[ruling]
    return Layout(
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
    """Cut intervals at `cuts`, sorted: whence each part is, its start, end, and if more follows."""
    first = np.searchsorted(cuts, onset, side="right")
    parts = np.searchsorted(cuts, end, side="left") - first + 1
    source = np.repeat(np.arange(len(onset)), parts)
    nth = places(parts)
    goes_on = nth + 1 < parts[source]
    at = first[source] + nth
    start = np.where(nth > 0, cuts[at - 1], onset[source])
    stop = np.where(goes_on, cuts[np.minimum(at, len(cuts) - 1)], end[source])
    return source, start, stop, goes_on


def places(sizes: Ints) -> Ints:
    """0 .. size-1 for each size, one after another."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)


def _cells(layout: Layout, chords: Chords, lines: Voices) -> tuple[Cells, Stretches]:
    """Cut chords at bar lines, and those of first voices at changes of tempo; fill in the rests."""
    leads = lines.number[chords.voice] == 1
    ticks = layout.tempos[:, 0]
    parts = [
        (np.flatnonzero(which), *_cut(chords.onset[which], chords.end[which], cuts))
        for which, cuts in ((leads, np.union1d(layout.bar, ticks)), (~leads, layout.bar))
    ]
    source = np.concatenate([which[source] for which, source, *_ in parts])
    start, end, tied = (np.concatenate([part[n] for part in parts]) for n in (2, 3, 4))
    voice, bar = chords.voice[source], layout.bar_of(start)

    def keyed(bar: Ints, voice: Ints) -> Ints:
        system = layout.system[bar]
        return (system * len(lines.piece) + voice) * len(layout.bar_piece) + bar

    told_bar, told_voice = _telling(layout, lines, voice, bar)
    lead = np.flatnonzero(lines.number == 1)
    tempo_bar = layout.bar_of(ticks)
    tempo_voice = lead[layout.bar_piece[tempo_bar]]
    sounding, tempo, told = (
        keyed(bar, voice),
        keyed(tempo_bar, tempo_voice),
        keyed(told_bar, told_voice),
    )
    within = ticks > layout.bar[tempo_bar]
    short = layout.cut_short[told_bar]
    key = np.sort(np.concatenate([sounding, tempo, told]), kind="stable")
    key = key[np.append(True, key[1:] > key[:-1])]
    filled = np.zeros(len(key), bool)
    cell = np.searchsorted(key, sounding)
    tempo_cell = np.searchsorted(key, tempo)
    filled[cell] = True
    filled[tempo_cell[within]] = True
    filled[np.searchsorted(key, told[short])] = True
    rest, bar_of_cell = np.divmod(key, len(layout.bar_piece))
    cells = Cells(rest % len(lines.piece), bar_of_cell, filled, key)

    # Marks of no length at which a rest may begin: every filled cell, every new tempo.
    full = np.flatnonzero(filled)
    mark = np.concatenate([layout.bar[bar_of_cell[full]], ticks[within]])
    marks = np.concatenate([full, tempo_cell[within]])
    return cells, _with_rests(
        layout,
        cells,
        Stretches(
            np.concatenate([marks, cell]),
            np.concatenate([mark, start]),
            np.concatenate([mark, end]),
            np.concatenate([np.full(len(marks), NONE), source]),
            np.concatenate([np.zeros(len(marks), bool), tied]),
        ),
    )


def _telling(layout: Layout, lines: Voices, voice: Ints, bar: Ints) -> tuple[Ints, Ints]:
    """(bar, voice) of cells that are there although nothing sounds.

    All voices are named in the first bar. A bar that a meter change cuts short cannot be counted
    by `Z`, and a change of meter or key is told by every voice that has still to sound; by the
    first voice in any case.
    """
    first_bar = np.searchsorted(layout.bar, layout.start)
    special = layout.cut_short.copy()
    special[np.searchsorted(layout.bar, layout.meters[:, 0])] = True
    special[np.searchsorted(layout.bar, layout.keys[:, 0])] = True
    special[first_bar] = True
    last = np.zeros(len(lines.piece), np.int64)
    np.maximum.at(last, voice, bar)
    last[lines.number == 1] = len(layout.bar_piece)
    bars, which = _times_voices(np.flatnonzero(special), layout.bar_piece, lines)
    kept = bars <= last[which]
    return bars[kept], which[kept]


def _times_voices(bars: Ints, bar_piece: Ints, lines: Voices) -> tuple[Ints, Ints]:
    """Each of `bars` with each voice of its piece."""
    pieces = np.arange(int(lines.piece[-1]) + 1)
    first = np.searchsorted(lines.piece, pieces)
    count = np.diff(np.append(first, len(lines.piece)))
    piece = bar_piece[bars]
    return np.repeat(bars, count[piece]), np.repeat(first[piece], count[piece]) + places(
        count[piece]
    )


def _with_rests(layout: Layout, cells: Cells, sounds: Stretches) -> Stretches:
    """Fill every filled cell to its end, in the order of the text."""
    span = int(np.diff(layout.bar).max()) + 1
    into = sounds.start - layout.bar[cells.bar[sounds.cell]]
    place = (sounds.cell * span + into) * 2 + (sounds.end > sounds.start)
    # Marks and sounds come voice by voice: the stable sort merges runs, in a sixth of the time.
    order = np.argsort(place, kind="stable")
    cell, start, end = sounds.cell[order], sounds.start[order], sounds.end[order]
    stop = layout.bar[cells.bar[cell] + 1]
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
