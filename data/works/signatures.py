"""The signature of a piece: a sketch of what its versions have in common, in any key and tempo.

A track is reduced to its top line, the highest note of each chord, and the line to overlapping runs
of intervals. The more a run leaps, the shorter it is, so that all runs say about the same amount,
and as few notes as possible have to agree. This is done for each track, because a different
accompaniment changes the top line of the whole, and for all tracks together, because a performance
may have only one track. A chord is a set of notes that start together, or within `GATHER` seconds
while the note before still sounds, because hands do not strike all keys at the same moment.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from data.music.score import Score

GRAM = 8
"""The number of intervals in a run of steps; no run is longer."""
LEAP = 5
"""From so many semitones on, an interval counts as two: a run of leaps has four."""
GATHER = 0.07
"""Seconds. At 120 quarters per minute, the tempo that most performances are given, three ticks."""
FLAM = 0.04
"""Seconds within which drums count as struck together; drums do not go on sounding."""
BEATS = 16
"""The number of onsets in a run of a piece for drums alone."""
BINS = 512
"""The number of bins in a signature, which takes 1 KiB."""

_BYTES = np.array([(1 << 8 * length) - 1 for length in range(GRAM + 1)], np.uint64)
# Fibonacci hashing (Knuth, TAOCP 3, 6.4), and the second constant of SplitMix64.
_GOLDEN, _ODD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(32)
_TO_BIN = np.uint64(64 - (BINS - 1).bit_length())


def signature(score: Score) -> np.ndarray:
    """One-permutation hashing of `runs` (Li, Owen and Zhang, NIPS 2012): (BINS,) uint16.

    The hash of a run decides its bin. Each bin keeps 16 bits of its least hash (Li and König, WWW
    2010), or 0 if it is empty. Among the bins that at least one of two pieces fills, the share of
    equal bins estimates the Jaccard similarity of their runs.
    """
    hashes = np.sort(_mixed(runs(score)))
    bins = (hashes >> _TO_BIN).astype(np.intp)
    least = np.flatnonzero(np.diff(bins, prepend=-1))
    sketch = np.zeros(BINS, np.uint16)
    sketch[bins[least]] = np.maximum(hashes[least] & np.uint64(0xFFFF), 1)
    return sketch


def runs(score: Score) -> np.ndarray:
    """The runs of a piece, each as one number: (n,) uint64, at least one, in no particular order.

    If the piece has nothing but drums, these are the runs of its drums.
    """
    if score.is_drum.all():
        return _beats(score)
    windows = lines(score)
    if len(windows) > 1:
        notes = np.flatnonzero(~score.is_drum)
        notes = notes[np.argsort(score.onset[notes], kind="stable")]
        starts = np.flatnonzero(_apart(score, notes))
        windows.append(_windows(np.maximum.reduceat(score.pitch[notes], starts)))
    return _shortened(np.concatenate(windows))


def lines(score: Score) -> list[np.ndarray]:
    """The windows of `GRAM` intervals in the top line of each track, in order: (n,) uint64 each.

    A line shorter than that is a single window.
    """
    notes = np.flatnonzero(~score.is_drum)
    if not len(notes):
        return []
    # Notes are sorted by track and onset.
    track = score.track[notes]
    starts = np.flatnonzero(_apart(score, notes) | (np.diff(track, prepend=-1) != 0))
    top, track = np.maximum.reduceat(score.pitch[notes], starts), track[starts]
    bounds = [*np.flatnonzero(np.diff(track, prepend=-1)).tolist(), len(track)]
    return [_windows(top[start:stop]) for start, stop in pairwise(bounds)]


def _apart(score: Score, notes: np.ndarray) -> np.ndarray:
    """(notes,) bool: which notes, in order of onset, start a chord instead of continuing one.

    A chord continues only while the note before still sounds, so that no melody becomes a chord,
    however fast, unless its notes overlap.
    """
    ended = np.diff(score.onset[notes]) >= score.duration[notes[:-1]]
    return _later(score, notes, GATHER) | np.append(True, ended)


def _later(score: Score, notes: np.ndarray, seconds: float) -> np.ndarray:
    """(n,) bool: which notes, in order of onset, start more than `seconds` after the one before."""
    onset, changes = score.onset[notes], np.array(score.tempos)
    ticks = seconds * score.ticks_per_quarter / 60 * changes[:, 1]
    if len(ticks) > 1:
        ticks = ticks[np.searchsorted(changes[:, 0], onset[1:], "right") - 1]
    return np.append(True, np.diff(onset) > ticks)


def _windows(pitch: np.ndarray) -> np.ndarray:
    """(n,) uint64: the windows of a line of one or more notes."""
    intervals = np.diff(pitch.astype(np.int16)).astype(np.int8)
    if len(intervals) < GRAM:
        # No music leaps by 127 semitones.
        intervals = np.append(intervals, np.full(GRAM - len(intervals), 127, np.int8))
    # Eight bytes from each byte on. sliding_window_view would take longer than all the rest.
    return np.ndarray(len(intervals) - GRAM + 1, "<u8", intervals, strides=(1,)).copy()


def _shortened(windows: np.ndarray) -> np.ndarray:
    """Each window, cut off where its intervals, leaps counted twice, have added up to `GRAM`."""
    intervals = np.ascontiguousarray(windows.view(np.int8).reshape(-1, GRAM).T)
    counts = 1 + (np.abs(intervals) >= LEAP).view(np.uint8)
    length = np.full(len(windows), GRAM // 2, np.uint8)
    counted = counts[: GRAM // 2].sum(axis=0, dtype=np.uint8)
    for count in counts[GRAM // 2 :]:
        length += counted < GRAM
        counted += count
    return windows & _BYTES[length]


def _beats(score: Score) -> np.ndarray:
    """(n,) uint64: runs of drum beats, each by what is struck and when.

    The time since the beat before is shorter than, about equal to, or longer than the one before
    that. So rough a rhythm is the same at any tempo and with any player.
    """
    notes = np.argsort(score.onset, kind="stable")
    starts = np.flatnonzero(_later(score, notes, FLAM))
    drum = np.uint64(1) << (score.pitch[notes] % 64).astype(np.uint64)
    struck = np.bitwise_or.reduceat(drum, starts)
    step = np.diff(score.onset[notes[starts]]).astype(np.int64)
    degree = np.zeros(len(struck), np.uint64)
    degree[2:] = 1 + (3 * step[1:] > 2 * step[:-1]) + (2 * step[1:] > 3 * step[:-1])
    beats = _mixed(struck ^ degree << np.uint64(62))
    run = np.zeros(max(1, len(beats) - BEATS + 1), np.uint64)
    for start in range(min(BEATS, len(beats))):
        run = run * _GOLDEN + beats[start : start + len(run)]
    return run


def _mixed(values: np.ndarray) -> np.ndarray:
    """The bits of each of (n,) uint64, well mixed."""
    mixed = values * _GOLDEN
    return (mixed ^ (mixed >> _HALF)) * _ODD
