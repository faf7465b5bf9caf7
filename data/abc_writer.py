"""A quantised score to the tokens of `data.abc`, in whole-array steps.

notes -> chords (equal onset and end) -> voices (first fit: the lowest layer of the track that is
free) -> stretches (cut at bar lines and tied, and rests) -> rows of tokens, sorted into text.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.abc import (
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
from data.score import DEFAULT_BPM, DEFAULT_METER, Score

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ID = {token: index for index, token in enumerate(vocabulary())}
NONE = -1
DIGITS = 5
WIDTH = 8 + DIGITS
"""Tokens of the longest row: tuplet [ mark letter ] digits denominator - |"""

# What stands at one tick of a voice's bar, in this order.
MARKER, INSTRUMENT, METER, KEY, TEMPO, SOUND = range(6)

MARK_ID = np.array([ID[MARKS[alteration]] for alteration in (-1, 0, 1)])
DENOMINATOR_ID = np.full(DENOMINATORS[-1] + 1, NONE)
DENOMINATOR_ID[list(DENOMINATORS[1:])] = [ID[f"/{value}"] for value in DENOMINATORS[1:]]
SPELLINGS = np.array([[spelling(pitch, sharps) for pitch in range(128)] for sharps in range(-7, 8)])
"""(15, 128, 3): letter, alteration, octave of a pitch, by sharps + 7."""
ALTERATIONS = np.array(
    [[key_alteration(letter, sharps) for letter in range(7)] for sharps in range(-7, 8)]
)
"""(15, 7): what a key does to each letter, by sharps + 7."""


class Chords(NamedTuple):
    """Notes of one track that start and end together, sorted by (voice, onset)."""

    voice: Ints
    onset: Ints
    end: Ints
    notes: Ints
    """All notes, pitches ascending within a chord; indices into the score."""
    first: Ints
    """Where each chord's notes begin in `notes`."""
    size: Ints


class Stretches(NamedTuple):
    """Parts of chords and rests that lie within one bar, in the order of the text."""

    voice: Ints
    bar: Ints
    start: Ints
    end: Ints
    chord: Ints
    """Index into `Chords`, or NONE for a rest. One of no length only marks a place."""
    tied: Bools


Block = tuple[Ints, Ints, Ints, Ints, NDArray[np.int16]]
"""Rows of tokens and their places: voice, bar, tick, order (each (n,)), ids (n, WIDTH)."""


def write(score: Score) -> NDArray[np.uint16]:
    """The ids of a score with notes, from `HEADER` to `END`: (n,) uint16."""
    lines = np.array(score.bars(), np.int64)
    chords = _chords(score)
    voices = int(chords.voice[-1]) + 1
    stretches = _stretches(score, chords, lines)
    blocks = [
        _sounds(score, chords, stretches, lines),
        *_markers(score, chords, len(lines) - 1),
        *_changes(score, voices, lines),
    ]
    voice, bar, tick, order, ids = (np.concatenate(columns) for columns in zip(*blocks))
    span = int(np.diff(lines).max()) + 1
    place = ((bar * voices + voice) * span + tick - lines[bar]) * (SOUND + 1) + order
    flat = ids[np.argsort(place, kind="stable")].ravel()
    return np.concatenate([[ID[HEADER]], flat[flat != NONE], [ID["\n"]]]).astype(np.uint16)


def _chords(score: Score) -> Chords:
    track, onset = score.track.astype(np.int64), score.onset.astype(np.int64)
    end = onset + score.duration
    notes = np.lexsort((score.pitch, end, onset, track))
    track, onset, end = track[notes], onset[notes], end[notes]
    starts = np.insert(
        (np.diff(track) + np.abs(np.diff(onset)) + np.abs(np.diff(end))) > 0, 0, True
    )
    first = np.flatnonzero(starts)
    size = np.diff(np.append(first, len(notes)))
    track, onset, end = track[first], onset[first], end[first]
    apart = track * (score.end + 1)
    layer = _first_fit(apart + onset, apart + end)
    layers = int(layer.max()) + 1
    line = track * layers + layer
    order = np.argsort(line, kind="stable")
    voice = np.append(0, np.cumsum(np.diff(line[order]) > 0))
    return Chords(voice, onset[order], end[order], notes, first[order], size[order])


def _first_fit(onset: Ints, end: Ints) -> Ints:
    """The lowest layer on which each interval, in order of onset, overlaps none before it: (n,)."""
    layer = np.zeros(len(onset), np.int64)
    left = np.arange(len(onset))
    depth = 0
    while len(left):
        following = np.searchsorted(onset[left], end[left]).tolist()
        chain, position = [], 0
        while position < len(following):
            chain.append(position)
            position = following[position]
        layer[left[chain]] = depth
        left = np.delete(left, chain)
        depth += 1
    return layer


def _cut(onset: Ints, end: Ints, cuts: Ints) -> tuple[Ints, Ints, Ints, Bools]:
    """Cut intervals at `cuts`, sorted: whence each part is, its start, end, and if more follows."""
    first = np.searchsorted(cuts, onset, side="right")
    inside = np.searchsorted(cuts, end, side="left") - first
    source = np.repeat(np.arange(len(onset)), inside + 1)
    nth = np.arange(len(source)) - np.repeat(np.cumsum(inside + 1) - inside - 1, inside + 1)
    goes_on = nth < inside[source]
    at = first[source] + nth
    start = np.where(nth > 0, cuts[at - 1], onset[source])
    stop = np.where(goes_on, cuts[np.minimum(at, len(cuts) - 1)], end[source])
    return source, start, stop, goes_on


def _tempos(score: Score) -> Ints:
    """Changes of tempo that are written: (n, 2) tick, quarters a minute."""
    tempos = np.array(score.tempos, np.int64).reshape(-1, 2)
    return tempos[int(score.tempos[0] == (0, DEFAULT_BPM)) :]


def _stretches(score: Score, chords: Chords, lines: Ints) -> Stretches:
    """Cut all chords at bar lines, and the first voice's at changes of tempo; fill in the rests."""
    ticks = _tempos(score)[:, 0]
    ahead = int(np.searchsorted(chords.voice, 0, side="right"))
    parts = _cut(chords.onset[:ahead], chords.end[:ahead], np.union1d(lines, ticks))
    others = _cut(chords.onset[ahead:], chords.end[ahead:], lines)
    source, start, end, tied = (np.concatenate(pair) for pair in zip(parts, others))
    source[len(parts[0]) :] += ahead
    voices, bars = int(chords.voice[-1]) + 1, len(lines) - 1

    # Marks of no length at which a rest may begin: every bar of every voice, every new tempo.
    mark_bar = np.concatenate([np.tile(np.arange(bars), voices), _bar_of(ticks, lines)])
    mark_voice = np.append(np.repeat(np.arange(voices), bars), np.zeros_like(ticks))
    mark_at = np.concatenate([np.tile(lines[:-1], voices), ticks])
    voice = np.concatenate([mark_voice, chords.voice[source]])
    bar = np.concatenate([mark_bar, _bar_of(start, lines)])
    chord = np.concatenate([np.full(len(mark_at), NONE), source])
    tied = np.concatenate([np.zeros(len(mark_at), bool), tied])
    start, end = np.concatenate([mark_at, start]), np.concatenate([mark_at, end])

    span = int(np.diff(lines).max()) + 1
    cell = bar * voices + voice
    order = np.argsort((cell * span + start - lines[bar]) * 2 + (end > start), kind="stable")
    cell, start, end = cell[order], start[order], end[order]
    stop = lines[bar[order] + 1]
    same = cell[1:] == cell[:-1]
    stop[:-1][same] = start[1:][same]
    row = np.repeat(np.arange(len(order)), 1 + (stop > end))
    rest = np.append(False, row[1:] == row[:-1])
    source = order[row]
    return Stretches(
        voice[source],
        bar[source],
        np.where(rest, end[row], start[row]),
        np.where(rest, stop[row], end[row]),
        np.where(rest, NONE, chord[source]),
        tied[source] & ~rest,
    )


def _bar_of(ticks: Ints, lines: Ints) -> Ints:
    return np.searchsorted(lines, ticks, side="right") - 1


def _sounds(score: Score, chords: Chords, stretches: Stretches, lines: Ints) -> Block:
    """A row for each note and each rest."""
    numerator, denominator, tuplet = _lengths(
        stretches.end - stretches.start, score.ticks_per_quarter
    )
    of = np.flatnonzero(stretches.end > stretches.start)
    size = np.where(stretches.chord[of] == NONE, 1, chords.size[stretches.chord[of]])
    row = np.repeat(of, size)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)
    size = np.repeat(size, size)
    last = nth == size - 1

    ids = np.full((len(row), WIDTH), NONE, np.int16)
    ids[:, 0] = np.where(nth == 0, tuplet[row], NONE)
    ids[(nth == 0) & (size > 1), 1] = ID["["]
    ids[last & (size > 1), 4] = ID["]"]
    shown = last & (numerator[row] > 1)
    ids[shown, 5 : 5 + DIGITS] = _digits(numerator[row[shown]])
    ids[last, 5 + DIGITS] = DENOMINATOR_ID[denominator[row[last]]]
    ids[last & stretches.tied[row], 6 + DIGITS] = ID["-"]
    ids[last & (stretches.end[row] == lines[stretches.bar[row] + 1]), 7 + DIGITS] = ID["|"]

    rest = stretches.chord[row] == NONE
    ids[rest, 3] = ID["z"]
    heard = np.flatnonzero(~rest)
    notes = chords.notes[chords.first[stretches.chord[row[heard]]] + nth[heard]]
    ids[heard, 2], ids[heard, 3] = _names(score, stretches, row[heard], score.pitch[notes], lines)
    place = stretches.voice[row], stretches.bar[row], stretches.start[row]
    return *place, np.full(len(row), SOUND), ids


def _lengths(ticks: Ints, ticks_per_quarter: int) -> tuple[Ints, Ints, Ints]:
    """The written length in eighths (numerator, denominator) and the tuplet before it, or NONE."""
    eighth = ticks_per_quarter // 2
    thirds = (ticks % 3 != 0) & (eighth % 3 == 0)
    numerator = np.where(thirds, ticks * 3, ticks)
    denominator = np.where(thirds, eighth * 2, eighth)
    divisor = np.gcd(numerator, denominator)
    tuplet = np.full(len(ticks), NONE)
    if thirds.any():
        index = np.arange(len(ticks))
        edge = np.insert(thirds[1:] != thirds[:-1], 0, True)
        start = np.maximum.accumulate(np.where(edge, index, 0))
        stop = np.append(index[edge][1:], len(ticks))[np.cumsum(edge) - 1]
        in_triplet = index - start < (stop - start) // 3 * 3
        tuplet[thirds & in_triplet & ((index - start) % 3 == 0)] = ID[TRIPLET]
        tuplet[thirds & ~in_triplet] = ID[SINGLE]
    return numerator // divisor, denominator // divisor, tuplet


def _names(
    score: Score, stretches: Stretches, row: Ints, pitch: NDArray, lines: Ints
) -> tuple[Ints, Ints]:
    """Mark (or NONE) and letter of notes in the order of the text."""
    bar = stretches.bar[row]
    # A piece without a first key is in C, which no row of `keys` says.
    ticks = [NONE, *(tick for tick, _, _ in score.keys)]
    sharps = np.array([0, *(sharps for _, sharps, _ in score.keys)])
    key = sharps[np.searchsorted(ticks, lines[bar], side="right") - 1] + 7
    letter, alteration, octave = SPELLINGS[key, pitch].T
    altered = alteration != ALTERATIONS[key, letter]
    mark = np.full(len(pitch), NONE)
    if altered.any():
        voices = int(stretches.voice.max()) + 1
        where = (bar * voices + stretches.voice[row]) * len(LETTERS) + letter
        first = np.full(len(lines) * voices * len(LETTERS), len(pitch))
        np.minimum.at(first, where[altered], np.flatnonzero(altered))
        marked = np.arange(len(pitch)) >= first[where]
        mark[marked] = MARK_ID[alteration[marked] + 1]
    return mark, ID[PITCHES[0]] + octave * len(LETTERS) + letter


def _digits(values: Ints) -> Ints:
    """Ids of the digits of positive numbers, right-aligned: (n, DIGITS), NONE before the first."""
    rest = values[:, None] // 10 ** np.arange(DIGITS - 1, -1, -1)
    return np.where(rest > 0, ID["0"] + rest % 10, NONE)


def _markers(score: Score, chords: Chords, bars: int) -> list[Block]:
    """The voice before each of its bars, if there are several; its instrument before the first."""
    first_chord = np.flatnonzero(np.append(True, np.diff(chords.voice) > 0))
    note = chords.notes[chords.first[first_chord]]
    track = score.track[note]
    merged = np.append(False, track[1:] == track[:-1])
    blocks = []
    if len(note) > 1:
        # In the order of the text, as the notes are: two sorted runs merge fast.
        voice, bar = np.tile(np.arange(len(note)), bars), np.repeat(np.arange(bars), len(note))
        ids = np.full((len(voice), WIDTH), NONE, np.int16)
        ids[:, 0] = ID["[V:"]
        ids[:, 1 : 1 + DIGITS] = _digits(np.arange(len(note)) + 1)[voice]
        ids[(bar == 0) & merged[voice], 1 + DIGITS] = ID[" merge"]
        ids[:, 2 + DIGITS] = ID["]"]
        tick = np.array(score.bars()[:-1], np.int64)[bar]
        blocks.append((voice, bar, tick, np.full(len(voice), MARKER), ids))
    for index, (program, is_drum) in enumerate(zip(score.program[note], score.is_drum[note])):
        if is_drum:
            blocks.append(_row(index, 0, 0, INSTRUMENT, ["[I:MIDI channel 10]"]))
        elif program:
            texts = ["[I:MIDI program ", *str(program), "]"]
            blocks.append(_row(index, 0, 0, INSTRUMENT, texts))
    return blocks


def _changes(score: Score, voices: int, lines: Ints) -> list[Block]:
    """Meter and key rule the voice they stand in; one voice's tempo rules all."""
    rows = []
    for tick, numerator, denominator in score.meters:
        if tick or (numerator, denominator) != DEFAULT_METER:
            bar = int(np.searchsorted(lines, tick))
            texts = ["[M:", *str(numerator), f"/{denominator}", "]"]
            rows += [_row(voice, bar, tick, METER, texts) for voice in range(voices)]
    for tick, sharps, minor in score.keys:
        bar = int(np.searchsorted(lines, tick))
        texts = [KEY_TOKENS[sharps, minor]]
        rows += [_row(voice, bar, tick, KEY, texts) for voice in range(voices)]
    for tick, bpm in _tempos(score).tolist():
        bar = int(_bar_of(np.array([tick]), lines)[0])
        rows.append(_row(0, bar, tick, TEMPO, ["[Q:1/4=", *str(bpm), "]"]))
    return rows


def _row(voice: int, bar: int, tick: int, order: int, texts: list[str]) -> Block:
    ids = np.full((1, WIDTH), NONE, np.int16)
    ids[0, : len(texts)] = [ID[text] for text in texts]
    return np.array([voice]), np.array([bar]), np.array([tick]), np.array([order]), ids
