"""The same music in other keys, made during training instead of being stored twelve times.

The keys from -5 to +6 semitones around that of the piece are all that there are. Drums stay as they
are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.music.score import Score

SEMITONES = range(-5, 7)


def transpose(score: Score, semitones: int) -> Score:
    """The score, so many semitones higher; unchanged if a note would leave the range of MIDI.

    A semitone is seven fifths, so a key moves by seven sharps for each. Where a key has two names,
    the one with fewer accidentals is taken, and F sharp rather than G flat.
    """
    pitch = score.pitch.astype(np.int16) + np.where(score.is_drum, 0, semitones).astype(np.int16)
    if pitch.min() < 0 or pitch.max() > 127:
        return score
    keys = tuple(
        (tick, (sharps + 7 * semitones + 5) % 12 - 5, minor) for tick, sharps, minor in score.keys
    )
    return replace(score, pitch=pitch.astype(np.uint8), keys=keys)
