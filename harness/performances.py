"""Simulated performances of a score: players add and miss notes, spread chords and bend the tempo.

Each disturbance maps notes to notes, so it can be applied alone. Their extent is a guess at good
amateurs: of a hundred notes two are wrong, two missing and two added, chords are spread over up to
60 ms, and the tempo is bent by up to a fifth, on top of the player's own pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from data.music.score import Score, build

ERRORS = 0.02
"""The share of notes that are wrong, and likewise of those missing and added."""
ORNAMENTS = 0.03
"""The share of notes that become trills or mordents, or get a grace note."""
SPREAD, JITTER = 0.06, 0.008
"""Seconds: the most from a chord's first note to its last; the standard deviation of each note."""
BEND = 0.2
TICKS_PER_QUARTER, BPM = 24, 120


@dataclass(frozen=True)
class Notes:
    chord: np.ndarray
    """(n,) the number of the chord; notes of one chord are written to be struck together."""
    start: np.ndarray
    """(n,) seconds."""
    length: np.ndarray
    """(n,) seconds."""
    pitch: np.ndarray

    def take(self, which: np.ndarray) -> Notes:
        return Notes(self.chord[which], self.start[which], self.length[which], self.pitch[which])

    def plus(self, start: np.ndarray, length: np.ndarray, pitch: np.ndarray) -> Notes:
        """These notes and new ones, each of which is a chord of its own."""
        alone = self.chord.max() + 1 + np.arange(len(start))
        more = ((self.chord, alone), (self.start, start), (self.length, length))
        chord, begun, held = map(np.concatenate, more)
        return Notes(chord, begun, held, np.append(self.pitch, pitch))


Disturbance = Callable[[Notes, np.random.Generator], Notes]


def repeats(notes: Notes, rng: np.random.Generator) -> Notes:
    """In every second performance, an eighth to a third of the piece is played twice."""
    if rng.random() < 0.5:
        return notes
    end = notes.start.max()
    first = rng.uniform(0, 0.6) * end
    last = first + rng.uniform(1 / 8, 1 / 3) * end
    again = notes.take((first <= notes.start) & (notes.start < last))
    later = notes.start + (notes.start >= last) * (last - first)
    return Notes(
        np.append(notes.chord, again.chord + notes.chord.max() + 1),
        np.append(later, again.start + last - first),
        np.append(notes.length, again.length),
        np.append(notes.pitch, again.pitch),
    )


def rubato(notes: Notes, rng: np.random.Generator) -> Notes:
    """A pace between .8 and 1.25, bent smoothly over phrases of 7 and 20 seconds and the whole."""
    end = float((notes.start + notes.length).max()) + 1
    time = np.linspace(0, end, int(4 * end) + 2)
    periods = np.array([[end], [20], [7]])
    waves = np.sin(2 * np.pi * (time / periods + rng.random((3, 1))))
    bend = rng.normal(size=3) @ waves
    slower = rng.uniform(0.8, 1.25) * np.exp(BEND * bend / np.abs(bend).max())
    warped = np.append(0, np.cumsum(slower[1:] * np.diff(time)))
    start = np.interp(notes.start, time, warped)
    stop = np.interp(notes.start + notes.length, time, warped)
    return Notes(notes.chord, start, stop - start, notes.pitch)


def spread(notes: Notes, rng: np.random.Generator) -> Notes:
    """Chords spread upwards, one in seven downwards, and random jitter."""
    order = np.lexsort((notes.pitch, notes.chord))
    _, first, size = np.unique(notes.chord[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, size)
    share = rank / np.maximum(np.repeat(size, size) - 1, 1)
    down = np.repeat(rng.random(len(size)) < 1 / 7, size)
    delay = np.repeat(rng.uniform(0, SPREAD, len(size)), size) * np.where(down, 1 - share, share)
    start = notes.start + rng.normal(0, JITTER, len(order))
    start[order] += np.where(np.repeat(size, size) > 1, delay, 0)
    return Notes(notes.chord, start, notes.length, notes.pitch)


def wrong(notes: Notes, rng: np.random.Generator) -> Notes:
    slip = rng.choice([-2, -1, 1, 2], len(notes.pitch)) * (rng.random(len(notes.pitch)) < ERRORS)
    return Notes(notes.chord, notes.start, notes.length, notes.pitch + slip)


def missing(notes: Notes, rng: np.random.Generator) -> Notes:
    return notes.take(rng.random(len(notes.pitch)) >= ERRORS)


def added(notes: Notes, rng: np.random.Generator) -> Notes:
    """Extra notes within an octave and a third of a second of written ones."""
    near = notes.take(rng.random(len(notes.pitch)) < ERRORS)
    count = len(near.pitch)
    start = near.start + rng.uniform(0, 1 / 3, count)
    return notes.plus(start, near.length, near.pitch + rng.integers(-12, 13, count))


def ornaments(notes: Notes, rng: np.random.Generator) -> Notes:
    """Trills of 10 to 14 notes a second, mordents, and grace notes 70 ms before their note."""
    length = notes.length.copy()
    more: list[tuple[float, float, int]] = []
    chosen = (rng.random(len(length)) < ORNAMENTS) & (length > 0.2)
    for note in np.flatnonzero(chosen).tolist():
        start, pitch, step = notes.start[note], int(notes.pitch[note]), int(rng.choice([1, 2]))
        kind = rng.integers(3)
        if kind == 0:
            speed = rng.uniform(0.07, 0.1)
            count = int(min(length[note], 1.5) / speed)
            more += [(start + n * speed, speed, pitch + step * (n % 2)) for n in range(1, count)]
            length[note] = speed
        elif kind == 1:
            beside = pitch + step * int(rng.choice([-1, 1]))
            more += [(start + 0.07, 0.07, beside), (start + 0.14, length[note] - 0.14, pitch)]
            length[note] = 0.07
        else:
            more.append((start - 0.07, 0.07, pitch + step * int(rng.choice([-1, 1]))))
    columns = np.array(more).reshape(-1, 3).T
    kept = Notes(notes.chord, notes.start, length, notes.pitch)
    return kept.plus(columns[0], columns[1], columns[2].astype(int))


def dry(notes: Notes, rng: np.random.Generator) -> Notes:
    """No note is held for longer than .15 s."""
    return Notes(notes.chord, notes.start, np.minimum(notes.length, 0.15), notes.pitch)


def transposed(notes: Notes, rng: np.random.Generator) -> Notes:
    return Notes(notes.chord, notes.start, notes.length, notes.pitch + rng.integers(-5, 7))


DISTURBANCES: dict[str, Disturbance] = {
    function.__name__: function
    for function in (
        repeats, rubato, missing, wrong, added, ornaments, spread, dry, transposed
    )
}  # fmt: skip
"""In the order in which they are to be applied."""


def perform(score: Score, names: Iterable[str], rng: np.random.Generator) -> Score:
    """The pitched notes of a score, performed, as one track on the grid at 120 quarters a
    minute."""
    pitched = ~score.is_drum
    onset = score.onset[pitched]
    start = seconds(score, onset)
    stop = seconds(score, onset + score.duration[pitched])
    notes = Notes(onset.astype(np.int64), start, stop - start, score.pitch[pitched].astype(int))
    for name in names:
        notes = DISTURBANCES[name](notes, rng)
    second = TICKS_PER_QUARTER * BPM / 60
    tick = np.maximum(np.rint(notes.start * second), 0).astype(int)
    held = np.maximum(np.rint(notes.length * second), 1).astype(int)
    _, kept = np.unique(np.stack([tick, notes.pitch]), axis=1, return_index=True)
    kept = kept[(notes.pitch[kept] >= 0) & (notes.pitch[kept] < 128)]
    zero = np.zeros(len(kept), int)
    columns = [zero, zero, zero, tick[kept], notes.pitch[kept], held[kept], zero + 80]
    return build(TICKS_PER_QUARTER, np.stack(columns), ((0, BPM),), ((0, 4, 4),), ())


def seconds(score: Score, ticks: np.ndarray) -> np.ndarray:
    """When ticks of a score sound, by its tempos: (n,) float64."""
    at, bpm = np.array(score.tempos, float).T
    tick = 60 / (bpm * score.ticks_per_quarter)
    begun = np.append(0, np.cumsum(np.diff(at) * tick[:-1]))
    which = np.searchsorted(at, ticks, "right") - 1
    return begun[which] + (ticks - at[which]) * tick[which]
