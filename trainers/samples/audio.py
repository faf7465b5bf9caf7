"""A piece as sound: a small additive synthesiser, between a harp and a dulcimer.

In a browser, page.sound.js in this folder plays the same instrument.
"""

from __future__ import annotations

import io
import wave

import numpy as np

from data.music.score import Score

RATE = 22_050
PARTIALS = (1.0, 0.45, 0.22, 0.12, 0.06)
ATTACK, RELEASE = 0.006, 0.12
"""Seconds."""
DECAY = 2.6
"""Seconds in which middle C decays to 1/e; higher notes decay faster."""
PEAK = 0.9
UNHEARD = 12
"""Times to decay to 1/e after which a note is not heard."""


def seconds(score: Score, ticks: np.ndarray) -> np.ndarray:
    """When these ticks are played, (n,) float64."""
    changes, bpm = (np.array(column) for column in zip(*score.tempos))
    rate = 60 / (bpm * score.ticks_per_quarter)
    at = np.concatenate([[0], np.cumsum(np.diff(changes) * rate[:-1])])
    index = np.searchsorted(changes, ticks, side="right") - 1
    return at[index] + (ticks - changes[index]) * rate[index]


def note_list(score: Score) -> np.ndarray:
    """(notes, 4) float64 in order of onset: start and length in seconds, pitch, 1 if a drum."""
    start = seconds(score, score.onset)
    length = seconds(score, score.onset + score.duration) - start
    notes = np.stack([start, length, score.pitch, score.is_drum], axis=1)
    return notes[np.argsort(start, kind="stable")]


def gain(score: Score) -> float:
    """What the sum of all notes is multiplied by, so that the loudest sample is at `PEAK`."""
    return PEAK / max(1e-6, float(np.abs(_sum(score)).max()))


def render(score: Score) -> np.ndarray:
    """(samples,) float32 between -1 and 1, at `RATE` samples per second."""
    sound = _sum(score)
    return sound * (PEAK / max(1e-6, float(np.abs(sound).max())))


def _sum(score: Score) -> np.ndarray:
    notes = note_list(score)
    sound = np.zeros(int(((notes[:, 0] + notes[:, 1]).max() + 1) * RATE), np.float32)
    noise = np.random.default_rng(0).standard_normal(RATE // 4).astype(np.float32)
    for start, length, pitch, drum in notes:
        first = int(start * RATE)
        wave_ = _hit(noise, pitch) if drum else _pluck(pitch, length)
        sound[first : first + len(wave_)] += wave_[: len(sound) - first]
    return sound


def _pluck(pitch: float, length: float) -> np.ndarray:
    # What is 100 dB softer than its attack is left out: a note may be held for half an hour.
    length = min(length, UNHEARD * DECAY * 2 ** ((60 - pitch) / 24))
    time = np.arange(int((length + RELEASE) * RATE), dtype=np.float32) / RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    tone = np.zeros_like(time)
    for number, level in enumerate(PARTIALS, start=1):
        if number * frequency < RATE / 2.2:
            tone += level * np.sin(np.float32(2 * np.pi * number * frequency) * time)
    decay = np.exp(-time / (DECAY * 2 ** ((60 - pitch) / 24)))
    edges = np.minimum(time / ATTACK, 1) * np.clip((length + RELEASE - time) / RELEASE, 0, 1)
    return (tone * decay * edges).astype(np.float32)


def _hit(noise: np.ndarray, pitch: float) -> np.ndarray:
    """A short noise, the shorter the higher the drum's General MIDI number."""
    time = np.arange(len(noise), dtype=np.float32) / RATE
    return 0.5 * noise * np.exp(-time / (0.09 - 0.06 * min(max((pitch - 35) / 25, 0), 1)))


def to_wav(score: Score) -> bytes:
    """A WAV file, 16 bits, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes((render(score) * 32767).astype("<i2").tobytes())
    return file.getvalue()
