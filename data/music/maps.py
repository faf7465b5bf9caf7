"""Tempo, meter and key changes of MIDI files, on the grid, and the bar lines they make.

Their rules are among those of `data.music.score`.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import symusic

DEFAULT_BPM = 120
DEFAULT_METER = (4, 4)
MIN_BPM, MAX_BPM = 4, 999
"""No MIDI file can be slower than 3.6."""


def on_grid(ticks: Any, midi_ticks: Any, ticks_per_quarter: int) -> Any:
    """Ticks of MIDI files to ticks of the grid; integers throughout: halves go up, everywhere."""
    return (2 * ticks * ticks_per_quarter + midi_ticks) // (2 * midi_ticks)


def bar_lines(
    meters: tuple[tuple[int, int, int], ...], ticks_per_quarter: int, end: int
) -> np.ndarray:
    """Beginnings of bars up to `end`, and the end of the bar that reaches it: (bars + 1,) int64.

    A meter change opens a bar, be the one before it full or not.
    """
    parts = []
    for (start, numerator, denominator), following in itertools.zip_longest(meters, meters[1:]):
        length = numerator * 4 * ticks_per_quarter // denominator
        if following:
            parts.append(np.arange(start, following[0], length))
        else:
            parts.append(start + length * np.arange(-(-(end - start) // length) + 1))
    return np.concatenate(parts)


def tempos_of(
    midi: symusic.Score, ticks_per_quarter: int, end: int, mended: dict[str, int]
) -> tuple[tuple[int, int], ...]:
    """Whole quarters a minute, `MIN_BPM` to `MAX_BPM`. mended: to be added to."""
    found = {0: DEFAULT_BPM}
    counts = dict.fromkeys(("tempo_zero", "tempo_range", "tempo_rounded"), 0)
    for tempo in midi.tempos:
        tick = on_grid(tempo.time, midi.ticks_per_quarter, ticks_per_quarter)
        if tick >= end:
            continue
        microseconds = tempo.mspq
        if microseconds < 1:
            counts["tempo_zero"] += 1
            continue
        exact = 60e6 / microseconds
        bpm = min(max(round(exact), MIN_BPM), MAX_BPM)
        # A whole tempo may itself be off by one: files hold whole microseconds.
        if abs(60e6 / bpm - microseconds) > 1:
            counts["tempo_rounded" if MIN_BPM <= exact <= MAX_BPM else "tempo_range"] += 1
        found[max(tick, 0)] = bpm
    mended |= {rule: count for rule, count in counts.items() if count}
    return changes(found)


def meters_of(
    midi: symusic.Score, ticks_per_quarter: int, end: int, mended: dict[str, int]
) -> tuple[tuple[int, int, int], ...]:
    found = {0: DEFAULT_METER}
    for meter in midi.time_signatures:
        tick = on_grid(meter.time, midi.ticks_per_quarter, ticks_per_quarter)
        numerator, denominator = int(meter.numerator), int(meter.denominator)
        whole = 4 * ticks_per_quarter
        if numerator < 1 or denominator not in (1, 2, 4, 8, 16, 32) or whole % denominator:
            mended["meter"] = mended.get("meter", 0) + 1
            continue
        if tick < end:
            found[max(tick, 0)] = (numerator, denominator)
    return tuple((tick, *meter) for tick, meter in changes(found))


def keys_of(
    midi: symusic.Score, ticks_per_quarter: int, lines: np.ndarray, mended: dict[str, int]
) -> tuple[tuple[int, int, bool], ...]:
    found = {}
    for key in midi.key_signatures:
        tick = on_grid(key.time, midi.ticks_per_quarter, ticks_per_quarter)
        if not -7 <= key.key <= 7 or tick >= lines[-1]:
            continue
        bar = int(lines[max(int(lines.searchsorted(tick, side="right")) - 1, 0)])
        if bar != tick:
            mended["key"] = mended.get("key", 0) + 1
        found[bar] = (int(key.key), bool(key.tonality))
    return tuple((tick, *key) for tick, key in changes(found))


def changes(found: dict) -> tuple:
    """(tick, value) in order of time, without those that repeat the value before them."""
    changes: list[tuple] = []
    for tick in sorted(found):
        if not changes or changes[-1][1] != found[tick]:
            changes.append((tick, found[tick]))
    return tuple(changes)
