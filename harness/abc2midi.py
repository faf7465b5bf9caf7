"""What abc2midi, an independent ABC reader that ships with symusic, makes of our ABC.

Its own limits: it strums chords unless told not to. It has 16 channels, one per voice, so pieces
with more voices lose notes. And its table of accidentals does not reach below MIDI pitch 12 (five
commas), where it plays some keys a semitone wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import symusic

from data.abc.tokenizer import AbcTokenizer
from data.music.score import Score
from data.sources.folk import abc2midi

Writer = Callable[[Score], str]

CHANNELS = 15
"""Available to voices that are not drums."""
LOWEST = 12


def trained_on(score: Score) -> str:
    tokenizer = AbcTokenizer(score.ticks_per_quarter)
    written = tokenizer.to_text(tokenizer.encode(score))
    return written.replace("X:1\n", "X:1\n%%MIDI chordattack 0\n", 1)


def events(midi: symusic.Score) -> np.ndarray:
    """(5, notes) pitch, is_drum, program, onset and end in ticks; sorted."""
    parts = [np.empty((5, 0), np.int64)]
    for track in midi.tracks:
        notes = track.notes.numpy()
        onset = notes["time"].astype(np.int64)
        program = 0 if track.is_drum else track.program
        fixed = [np.full(len(onset), value) for value in (track.is_drum, program)]
        parts.append(np.stack([notes["pitch"], *fixed, onset, onset + notes["duration"]]))
    joined = np.concatenate(parts, axis=1)
    return joined[:, np.lexsort(joined[[4, 3, 2, 1, 0]])]


def differences(written: list[Score], text: Writer = trained_on) -> list[str]:
    """Where abc2midi plays something other than what is written; one line per piece.

    text: how a score is written; as models are trained on it unless said otherwise.
    """
    found = []
    for number, score in enumerate(written):
        content, _ = abc2midi(text(score))
        if content is None:
            found.append(f"{number}: no MIDI")
            continue
        midi = symusic.Score.from_midi(content)
        grid = midi.ticks_per_quarter // score.ticks_per_quarter
        onset = score.onset.astype(np.int64) * grid
        end = onset + score.duration * grid
        wanted = np.stack([score.pitch, score.is_drum, score.program, onset, end])
        wanted = wanted[:, np.lexsort(wanted[[4, 3, 2, 1, 0]])]
        played = events(midi)
        if played.shape != wanted.shape:
            found.append(f"{number}: {played.shape[1]} notes for {wanted.shape[1]}")
        elif (played[:3] != wanted[:3]).any():
            found.append(f"{number}: other pitches or instruments")
        elif np.abs(played[3:] - wanted[3:]).max() > midi.ticks_per_quarter / 48:
            found.append(f"{number}: other times")
    return found


def within_its_limits(score: Score, text: Writer = trained_on) -> bool:
    written = text(score)
    voices = max([1, *map(int, re.findall(r"\[V:(\d+)", written))])
    return voices <= CHANNELS and int(score.pitch.min()) >= LOWEST
