"""The same music in other keys, made while training and not stored twelvefold.

Twelve keys, -5 to +6 semitones from the piece's own, are all there are; drums stay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.music.score import Score

SEMITONES = range(-5, 7)


def transpose(score: Score, semitones: int) -> Score:
    """The score that many semitones higher; as it is, if a note would leave the range of MIDI.

    A key moves seven fifths a semitone; of two names for it the one with fewer accidentals is
    taken, F sharp and not G flat.
    """
    pitch = score.pitch.astype(np.int16) + np.where(score.is_drum, 0, semitones).astype(np.int16)
    if pitch.min() < 0 or pitch.max() > 127:
        return score
    keys = tuple(
        (tick, (sharps + 7 * semitones + 5) % 12 - 5, minor) for tick, sharps, minor in score.keys
    )
    return replace(score, pitch=pitch.astype(np.uint8), keys=keys)
