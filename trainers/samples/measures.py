"""Measures of a piece from music research, and how sets of pieces differ in them.

Where muspy has a measure, the definition is muspy's (Dong et al. 2020, section 4.3), with a tick of
the grid as its time step. A measure is NaN, and left out of means, if a piece is too short for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from data.music.score import Score

_MAJOR = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], bool)
_MINOR = np.array([1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0], bool)
_SCALES = np.array([np.roll(scale, key) for scale in (_MAJOR, _MINOR) for key in range(12)])


def measure(score: Score) -> dict[str, float]:
    """All measures of one piece, by the names that the page explains."""
    return {
        "pitch_class_entropy": pitch_class_entropy(score),
        "scale_consistency": scale_consistency(score),
        "groove_consistency": groove_consistency(score),
        "polyphony": polyphony(score),
        "empty_beats": empty_beats(score),
        "note_density": len(score) * score.ticks_per_quarter / score.end,
        "self_similarity": self_similarity(score),
    }


def pitch_class_entropy(score: Score) -> float:
    """Entropy of the histogram of pitch classes, in bits; without drums (Wu & Yang 2020)."""
    counts = np.bincount(score.pitch[~score.is_drum] % 12, minlength=12)
    if not counts.any():
        return float("nan")
    return float(stats.entropy(counts, base=2))


def scale_consistency(score: Score) -> float:
    """The largest share of notes in any of the 24 scales; without drums (Mogren 2016)."""
    counts = np.bincount(score.pitch[~score.is_drum] % 12, minlength=12)
    if not counts.any():
        return float("nan")
    return float((_SCALES @ counts).max() / counts.sum())


def groove_consistency(score: Score) -> float:
    """One minus the mean Hamming distance between the onsets of adjacent bars (Wu & Yang 2020).

    muspy requires one meter throughout; here, bars of unequal length are not compared.
    """
    patterns = []
    for start, end in pairwise(score.bars.tolist()):
        inside = (score.onset >= start) & (score.onset < end)
        pattern = np.zeros(end - start, bool)
        pattern[score.onset[inside] - start] = True
        patterns.append(pattern)
    apart = [
        (left != right).mean() for left, right in pairwise(patterns) if len(left) == len(right)
    ]
    return float(1 - np.mean(apart)) if apart else float("nan")


def polyphony(score: Score) -> float:
    """Mean number of pitches that sound at once, over the ticks at which any does; without
    drums."""
    pitched = ~score.is_drum
    roll = np.zeros((score.end + 1, 128), np.int32)
    pitch, onset = score.pitch[pitched], score.onset[pitched]
    np.add.at(roll, (onset, pitch), 1)
    np.add.at(roll, (onset + score.duration[pitched], pitch), -1)
    sounding = (np.cumsum(roll, axis=0) > 0).sum(axis=1)
    return float(sounding[sounding > 0].mean()) if pitched.any() else float("nan")


def empty_beats(score: Score) -> float:
    """The share of quarters in which nothing sounds (Dong et al. 2018)."""
    quarter = score.ticks_per_quarter
    edges = np.zeros(-(-score.end // quarter) + 1, np.int64)
    np.add.at(edges, score.onset // quarter, 1)
    np.add.at(edges, (score.onset + score.duration - 1) // quarter + 1, -1)
    return float((np.cumsum(edges)[:-1] == 0).mean())


def self_similarity(score: Score) -> float:
    """The mean similarity of a bar to its best match among the bars before it.

    Similarity is the Jaccard index of the sets of (onset in the bar, pitch). Silent bars are
    skipped.
    """
    bar = np.searchsorted(score.bars, score.onset, side="right") - 1
    inside = score.onset - np.array(score.bars)[bar]
    bars = [
        set(zip(inside[bar == index].tolist(), score.pitch[bar == index].tolist()))
        for index in np.unique(bar)
    ]
    best = [
        max(len(this & other) / len(this | other) for other in bars[:index])
        for index, this in enumerate(bars)
        if index
    ]
    return float(np.mean(best)) if best else float("nan")


@dataclass(frozen=True)
class Estimate:
    value: float
    low: float
    high: float
    """Ends of a 95 % interval."""
    n: int
    """The number of pieces behind it."""


def mean(values: np.ndarray) -> Estimate:
    """values: (pieces,) -> their mean and Student's interval, without NaN."""
    values = values[~np.isnan(values)]
    if len(values) < 2:
        value = float(values.mean()) if len(values) else float("nan")
        return Estimate(value, float("nan"), float("nan"), len(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(float(values.mean()), values.mean() - half, values.mean() + half, len(values))


def share(hits: int, of: int) -> Estimate:
    """A share and its exact interval (Clopper & Pearson 1934)."""
    found = stats.binomtest(hits, of).proportion_ci(0.95, method="exact")
    return Estimate(hits / of, float(found.low), float(found.high), of)


def difference(values: np.ndarray, reference: np.ndarray) -> Estimate:
    """How far the mean of `values` is from that of `reference`, in the latter's standard
    deviations.

    (pieces,) each. Glass's delta with Welch's interval; zero means no difference.
    """
    values, reference = values[~np.isnan(values)], reference[~np.isnan(reference)]
    if min(len(values), len(reference)) < 2 or not (spread := reference.std(ddof=1)):
        return Estimate(float("nan"), float("nan"), float("nan"), len(values))
    parts = np.array([each.var(ddof=1) / len(each) for each in (values, reference)])
    # Welch & Satterthwaite's degrees of freedom.
    freedom = parts.sum() ** 2 / (parts**2 / [len(values) - 1, len(reference) - 1]).sum()
    half = float(stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum()) / spread)
    gap = float((values.mean() - reference.mean()) / spread)
    return Estimate(gap, gap - half, gap + half, len(values))
