"""From quantised scores to the tokens of `data.abc.dialect`, many scores at once, by whole arrays.

`data.abc.layout` decides what stands where. Here each note, rest, bar line and field becomes a row
of tokens, and the rows are sorted into the order of the text.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data.abc import dialect
from data.abc.dialect import (
    DENOMINATORS,
    HEADER,
    KEY_TOKENS,
    LETTERS,
    MARKS,
    PITCHES,
    SINGLE,
    TRIPLET,
    key_alteration,
    spelling,
    vocabulary,
)
from data.abc.layout import NONE, Cells, Layout, Timeline, lay_out, places
from data.abc.voices import Bools, Ints, Voices
from data.music.maps import DEFAULT_METER
from data.music.score import Score

Rows = NDArray[np.int16]
"""(n, width) ids; NONE where there is no token."""

ID = {token: index for index, token in enumerate(vocabulary())}

# What may stand at one tick of a cell, in the order in which it is written.
START, MARKER, INSTRUMENT, SILENCE, METER, KEY, TEMPO, SOUND, END = range(9)

_SPELLED = np.array(
    [
        [[spelling(pitch, sharps, minor) for pitch in range(128)] for sharps in range(-7, 8)]
        for minor in (False, True)
    ]
)
_IN_KEY = np.array(
    [[key_alteration(letter, sharps) for letter in range(7)] for sharps in range(-7, 8)]
)
STEP = _SPELLED[..., 2] * len(LETTERS) + _SPELLED[..., 0]
"""(2, 15, 128): the index in `PITCHES` of the name of a pitch, by minor and sharps + 7."""
ALTERED = _SPELLED[..., 1] != np.take_along_axis(_IN_KEY[None], _SPELLED[..., 0], axis=2)
"""(2, 15, 128): whether that name needs an accidental."""
MARK = np.array([ID[MARKS[alteration]] for alteration in (-1, 0, 1)])[_SPELLED[..., 1] + 1]
"""(2, 15, 128): the id of the accidental that would show its alteration."""


Block = tuple[Ints, Ints, int, Rows]
"""Rows of tokens and their places: cell and tick, each (n,); which kind they are; the ids."""


def write(scores: Sequence[Score]) -> list[NDArray[np.uint16]]:
    """The ids of each score, (n,) uint16, from `HEADER` to `END`.

    All scores have notes, and the same ticks per quarter.
    """
    if not scores:
        return []
    layout = lay_out(scores)
    blocks = [
        _sounds(scores[0].ticks_per_quarter, layout),
        *_markers(layout.timeline, layout.voices, layout.cells),
        *_changes(layout.timeline, layout.voices, layout.cells),
    ]
    return _text(blocks, layout.cells, layout.timeline)


def _sounds(ticks_per_quarter: int, layout: Layout) -> Block:
    """One row for each note and each rest."""
    timeline, chords, _, cells, stretches = layout
    ticks = stretches.end - stretches.start
    lengths, is_third = _length_rows(ticks_per_quarter, int(ticks.max()).bit_length())
    tuplet = _tuplets(is_third[ticks])
    of = np.flatnonzero(ticks)
    chord = stretches.chord[of]
    size = np.where(chord == NONE, 1, chords.size[chord])
    row, nth = np.repeat(of, size), places(size)
    ends = np.cumsum(size) - 1
    begins = ends - size + 1
    several = size > 1

    width = lengths.shape[1]
    ids = np.full((len(row), width + 7), NONE, np.int16)
    ids[begins, 0] = tuplet[of]
    ids[begins[several], 1] = ID["["]
    ids[ends[several], 4] = ID["]"]
    ids[ends, 5 : 5 + width] = lengths.take(ticks[of], axis=0)
    ids[ends[stretches.tied[of]], 5 + width] = ID["-"]
    closes = stretches.end[of] == timeline.bar[cells.bar[stretches.cell[of]] + 1]
    ids[ends[closes], 6 + width] = ID["|"]

    chord = stretches.chord[row]
    ids[chord == NONE, 3] = ID["z"]
    heard = np.flatnonzero(chord != NONE)
    sounding = chords.pitch[chords.first[chord[heard]] + nth[heard]]
    ids[heard, 2], ids[heard, 3] = _names(timeline, cells, stretches.cell[row[heard]], sounding)
    return stretches.cell[row], stretches.start[row], SOUND, ids


@lru_cache(maxsize=8)
def _length_rows(ticks_per_quarter: int, bits: int) -> tuple[Rows, Bools]:
    """How lengths below 2^bits ticks are written, and which of them follow a tuplet sign."""
    ticks = np.arange(1 << bits)
    eighth = ticks_per_quarter // 2
    thirds = (ticks % 3 != 0) & (eighth % 3 == 0)
    numerator = np.where(thirds, ticks * 3, ticks)
    denominator = np.where(thirds, eighth * 2, eighth)
    divisor = np.gcd(numerator, denominator)
    numerator, denominator = numerator // divisor, denominator // divisor
    digits = _numbers(numerator)
    digits[numerator == 1] = NONE
    of = {1: NONE} | {value: ID[f"/{value}"] for value in DENOMINATORS[1:]}
    return np.column_stack([digits, [of[value] for value in denominator.tolist()]]), thirds


def _tuplets(thirds: Bools) -> Ints:
    """The tuplet sign before each stretch, or NONE. Neighbouring thirds are taken by threes."""
    tuplet = np.full(len(thirds), NONE)
    if thirds.any():
        edges = np.flatnonzero(np.diff(thirds, prepend=False, append=False))
        runs = edges[1::2] - edges[::2]
        at, nth = np.flatnonzero(thirds), places(runs)
        in_triplet = nth < np.repeat(runs // 3 * 3, runs)
        tuplet[at[in_triplet & (nth % 3 == 0)]] = ID[TRIPLET]
        tuplet[at[~in_triplet]] = ID[SINGLE]
    return tuplet


def _names(timeline: Timeline, cells: Cells, cell: Ints, pitch: Ints) -> tuple[Ints, Ints]:
    """The ids of the accidental (or NONE) and the name of each note, in the order of the text."""
    ruling = np.searchsorted(timeline.keys[:, 0], timeline.bar[:-1], side="right") - 1
    key = (timeline.keys[:, 2] * 15 + timeline.keys[:, 1] + 7)[ruling][cells.bar[cell]]
    place = key * 128 + pitch
    step, altered = STEP.ravel()[place], ALTERED.ravel()[place]
    mark = np.full(len(pitch), NONE)
    if altered.any():
        # After the first accidental on a letter in a bar, all notes on that letter show theirs.
        letter = cell * len(LETTERS) + step % len(LETTERS)
        first = np.full(len(cells.key) * len(LETTERS), len(pitch))
        at = np.flatnonzero(altered)[::-1]
        first[letter[at]] = at
        shown = np.arange(len(pitch)) >= first[letter]
        mark[shown] = MARK.ravel()[place[shown]]
    return mark, ID[PITCHES[0]] + step


def _numbers(values: Ints) -> Rows:
    """(n, digits) the ids of the digits of positive numbers; NONE in place of leading zeros."""
    digits = len(str(int(values.max(initial=1))))
    rest = values[:, None] // 10 ** np.arange(digits - 1, -1, -1)
    return np.where(rest > 0, ID["0"] + rest % 10, NONE).astype(np.int16)


def _markers(timeline: Timeline, voices: Voices, cells: Cells) -> list[Block]:
    """Which voice continues, on what instrument, and how many bars it was silent."""
    total = np.bincount(voices.piece)
    tick = timeline.bar[cells.bar]
    turns = np.diff(cells.voice, prepend=NONE) != 0
    spoken = np.flatnonzero(turns & (total[voices.piece[cells.voice]] > 1))
    voice = cells.voice[spoken]
    by_voice = np.argsort(cells.voice, kind="stable")
    opening = by_voice[np.searchsorted(cells.voice[by_voice], np.arange(len(voices.piece)))]
    opens = np.zeros(len(cells.key), bool)
    opens[opening] = True
    merge = np.where(opens[spoken] & voices.merged[voice], ID[dialect.MERGE], NONE)
    blocks: list[Block] = [
        (
            spoken,
            tick[spoken],
            MARKER,
            _joined(len(spoken), ID[dialect.VOICE], _numbers(voices.number[voice]), merge, ID["]"]),
        )
    ]
    at = opening[voices.is_drum]
    blocks.append((at, tick[at], INSTRUMENT, _joined(len(at), ID[dialect.DRUMS])))
    played = ~voices.is_drum & (voices.program > 0)
    at = opening[played]
    ids = _joined(len(at), ID[dialect.PROGRAM], _numbers(voices.program[played]), ID["]"])
    blocks.append((at, tick[at], INSTRUMENT, ids))

    # At each cell, the first bar that its voice has not written yet.
    following = cells.bar[by_voice] + cells.filled[by_voice]
    start = np.searchsorted(timeline.bar, timeline.start)[voices.piece[cells.voice[by_voice]]]
    before = np.where(opens[by_voice], start, np.append(0, following[:-1]))
    silent = cells.bar[by_voice] - before
    counted = np.flatnonzero(silent > 0)
    at, silent = by_voice[counted], silent[counted]
    digits = np.where(silent[:, None] > 1, _numbers(silent), NONE)
    blocks.append((at, tick[at], SILENCE, _joined(len(at), ID["Z"], digits, ID["|"])))
    return blocks


def _joined(rows: int, *columns: int | Ints | Rows) -> Rows:
    """Columns of ids side by side; a single id stands for a whole column of it."""
    whole = [
        np.full((rows, 1), column)
        if isinstance(column, int)
        else column[:, None]
        if column.ndim == 1
        else column
        for column in columns
    ]
    return np.concatenate(whole, axis=1).astype(np.int16)


def _changes(timeline: Timeline, voices: Voices, cells: Cells) -> list[Block]:
    """Changes of meter and key, which hold for their voice, and of tempo, which hold for all."""
    blocks: list[Block] = []
    opening = np.isin(timeline.meters[:, 0], timeline.start)
    default = (timeline.meters[:, 1:] == DEFAULT_METER).all(axis=1)
    meters = timeline.meters[~(opening & default)]
    of = np.array([ID.get(f"/{value}", NONE) for value in range(DENOMINATORS[-1] + 1)])
    ids = _joined(len(meters), ID[dialect.METER], _numbers(meters[:, 1]), of[meters[:, 2]], ID["]"])
    keys = timeline.keys[timeline.keys[:, 3] == 1]
    key_ids = np.array(
        [ID[KEY_TOKENS[sharps, bool(minor)]] for _, sharps, minor, _ in keys.tolist()], np.int64
    )
    for what, ticks, rows in (
        (METER, meters[:, 0], ids),
        (KEY, keys[:, 0], _joined(len(keys), key_ids)),
    ):
        # Every cell in the bar of a change states it.
        change_of_bar = np.full(len(timeline.bar_piece), NONE)
        change_of_bar[np.searchsorted(timeline.bar, ticks)] = np.arange(len(ticks))
        change = change_of_bar[cells.bar]
        at = np.flatnonzero(change != NONE)
        blocks.append((at, timeline.bar[cells.bar[at]], what, rows[change[at]]))
    tempos = timeline.tempos
    bar = timeline.bar_of(tempos[:, 0])
    lead = np.flatnonzero(voices.number == 1)[timeline.bar_piece[bar]]
    key = (timeline.system[bar] * len(voices.piece) + lead) * len(timeline.bar_piece) + bar
    ids = _joined(len(tempos), ID[dialect.TEMPO], _numbers(tempos[:, 1]), ID["]"])
    blocks.append((np.searchsorted(cells.key, key), tempos[:, 0], TEMPO, ids))
    return blocks


def _text(blocks: list[Block], cells: Cells, timeline: Timeline) -> list[NDArray[np.uint16]]:
    """All rows in the order of the text, without the gaps, divided into pieces."""
    piece = timeline.bar_piece[cells.bar]
    first = np.flatnonzero(np.diff(piece, prepend=-1))
    last = np.append(first[1:], len(piece)) - 1
    for cell, tick, what, text in (
        (first, timeline.bar[cells.bar[first]], START, HEADER),
        (last, timeline.bar[cells.bar[last] + 1], END, "\n"),
    ):
        blocks.append((cell, tick, what, _joined(len(cell), ID[text])))
    width = max(ids.shape[1] for *_, ids in blocks)
    ids = np.full((sum(len(block[0]) for block in blocks), width), NONE, np.int16)
    place = np.empty(len(ids), np.int64)
    span = int(np.diff(timeline.bar).max()) + 1
    at = 0
    for cell, tick, what, rows in blocks:
        to = at + len(cell)
        ids[at:to, : rows.shape[1]] = rows
        place[at:to] = (cell * span + tick - timeline.bar[cells.bar[cell]]) * (END + 1) + what
        at = to
    # `take` and `compress` need a third of the time of indexing by rows and by a mask.
    flat = ids.take(np.argsort(place, kind="stable"), axis=0).ravel()
    flat = flat.compress(flat != NONE).astype(np.uint16)
    return np.split(flat, np.flatnonzero(flat == ID[HEADER])[1:])
