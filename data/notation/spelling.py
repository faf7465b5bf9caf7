"""By what letters the notes of a piece are written: B flat in G minor, and no A sharp.

A score has pitches, and its key may be missing, or one that nobody set. So a note is spelled by the
notes around it: each of these is taken for a tonic, in which the chromatic scale is written as

    1  b2  2  b3  3  4  #4  5  b6  6  b7  7

and the letter that most of them ask for is taken: the algorithm ps13 (Meredith 2006, "The ps13
pitch spelling algorithm", Journal of New Music Research 35). There, tonics have letters counted
from the first note of the piece. Here, these are those of the major scale that holds most of the
notes around: with few sharps or flats, and near to the key of the piece.

A letter with its accidental is a place on the line of fifths: Bb -2, F -1, C 0, G 1, ..., F# 6.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from data.abc.dialect import spelling, spellings
from data.music.score import Score

BEFORE, AFTER = 20, 20
"""Notes around one that have a say, itself among the latter. With 10 and 42, which ps13 has, the
last notes before a change of key were spelled in the next."""
FLATTEST = -5
"""A note's place from its tonic's, at the least: the minor second. The augmented fourth is 6."""
NARROW = -3
"""A tonic's place from that of the scale, at the least."""

_CHROMAS = np.arange(12)
_SCALES = (7 * _CHROMAS - _CHROMAS[:, None] + 1) % 12 < 7
"""(12, 12): whether a note is in the major scale whose sharps are the row, up to twelve."""

Name = tuple[int, int, int]
"""Letter (0 is C), alteration, and octave, of which MIDI's first is 0."""


class Names:
    """How the notes of a score are spelled."""

    def __init__(self, score: Score) -> None:
        pitched = ~score.is_drum
        order = np.lexsort((score.pitch[pitched], score.onset[pitched]))
        onset = score.onset[pitched][order].tolist()
        pitch = score.pitch[pitched][order].astype(int)
        keys_from = [tick for tick, *_ in score.keys]
        ruling = [bisect_right(keys_from, tick) for tick in onset]
        stated = np.array([score.keys[n - 1][1] if n else np.nan for n in ruling])
        letters = _letters(pitch, stated).tolist() if onset else []
        self._letters = dict(zip(zip(onset, pitch.tolist()), letters))

    def of(self, onset: int, pitch: int, key: tuple[int, bool]) -> Name:
        """With one accidental at most; by the key alone where that is not enough, and of drums."""
        letter = self._letters.get((onset, pitch))
        found = (name for name in spellings(pitch) if name[0] == letter)
        return next(found, None) or spelling(pitch, *key)


def _letters(pitch: np.ndarray, stated: np.ndarray) -> np.ndarray:
    """(notes,) in order of time -> the letter of each.

    stated: the sharps of the key where each note stands, NaN where none is stated.
    """
    chroma = pitch % 12
    heard = np.eye(12, dtype=int)[chroma]
    around = _around(heard)
    whole = _sharps(heard.sum(axis=0)[None], np.zeros(1))
    sharps = _sharps(around, np.where(np.isnan(stated), whole, stated))
    tonics = _first_from((sharps + NARROW)[:, None], _CHROMAS)
    # (notes, 12): the place of each note, by each tonic; there are three at most.
    places = _first_from(tonics + FLATTEST, chroma[:, None])
    first = places.min(axis=1)
    votes = [np.where(places == first[:, None] + 12 * n, around, 0).sum(axis=1) for n in range(3)]
    return 4 * (first + 12 * np.argmax(votes, axis=0)) % 7


def _sharps(counts: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(n, 12) counts of notes -> (n,) the sharps of the major scale that holds most of them.

    near: (n,) the sharps to which they should be near, which count half as much as being few.
    """
    best = (counts @ _SCALES.T).argmax(axis=1)[:, None] + np.array([-24, -12, 0])
    far = np.abs(best) + np.abs(best - near[:, None]) / 2
    return best[np.arange(len(best)), far.argmin(axis=1)]


def _first_from(place: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """The first place, from one on, that a note of this chroma has on the line of fifths."""
    return place + (7 * chroma - place) % 12


def _around(values: np.ndarray) -> np.ndarray:
    """(notes, n) -> their sums over the notes around each."""
    at, sums = np.arange(len(values)), np.pad(np.cumsum(values, axis=0), ((1, 0), (0, 0)))
    return sums[np.minimum(at + AFTER, len(values))] - sums[np.maximum(at - BEFORE, 0)]
