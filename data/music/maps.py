"""The tempo, meter and key changes of MIDI files, in the ticks of a score, and the bar lines.

Their rules are among those of `data.music.quantise`.
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


def to_score_ticks(ticks: Any, midi_ticks: Any, ticks_per_quarter: int) -> Any:
    """From the ticks of a MIDI file to those of a score, in integers; halves are rounded up."""
    return (2 * ticks * ticks_per_quarter + midi_ticks) // (2 * midi_ticks)


def bar_lines(
    meters: tuple[tuple[int, int, int], ...], ticks_per_quarter: int, end: int
) -> np.ndarray:
    """(bars + 1,) int64: where bars begin, up to `end`, and the end of the last of them.

    A change of meter opens a bar, whether the bar before it is full or not.
    """
    stretches = []
    for (start, numerator, denominator), following in itertools.zip_longest(meters, meters[1:]):
        length = numerator * 4 * ticks_per_quarter // denominator
        if following:
            stretches.append(np.arange(start, following[0], length))
        else:
            stretches.append(start + length * np.arange(-(-(end - start) // length) + 1))
    return np.concatenate(stretches)


def tempos_of(
    midi: symusic.Score, ticks_per_quarter: int, end: int, mended: dict[str, int]
) -> tuple[tuple[int, int], ...]:
    """(tick, quarters per minute) of each change, in whole numbers from `MIN_BPM` to `MAX_BPM`.

    end: the tick at which the last note ends. mended: counts of rules, to be added to.
    """
    found = {0: DEFAULT_BPM}
    counts = dict.fromkeys(("tempo_zero", "tempo_range", "tempo_rounded"), 0)
    for tempo in midi.tempos:
        tick = to_score_ticks(tempo.time, midi.ticks_per_quarter, ticks_per_quarter)
        if tick >= end:
            continue
        microseconds = tempo.mspq
        if microseconds < 1:
            counts["tempo_zero"] += 1
            continue
        exact = 60e6 / microseconds
        bpm = min(max(round(exact), MIN_BPM), MAX_BPM)
        # Files hold whole microseconds, so even a whole tempo may be off by one.
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
        tick = to_score_ticks(meter.time, midi.ticks_per_quarter, ticks_per_quarter)
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
        tick = to_score_ticks(key.time, midi.ticks_per_quarter, ticks_per_quarter)
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
