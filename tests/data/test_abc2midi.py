"""A reader of ABC that is not ours hears the same notes: abc2midi, which symusic carries.

Two things are not ours to decide: abc2midi strums chords unless told not to, and has 16 channels,
one to a voice, so that pieces of more voices lose notes in it.
"""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import symusic

from data.abc_tokenizer import AbcTokenizer
from data.score import Score, ScoreError, from_midi
from tests.data.conftest import CORPORA, corpus_members

ABC2MIDI = Path(symusic.__file__).parent / "bin" / "abc2midi"
CHANNELS = 15
"""For voices that are not drums."""


def events(midi: symusic.Score) -> np.ndarray:
    """(5, notes) pitch, is_drum, program, onset, end; in ticks, sorted."""
    parts = [np.empty((5, 0), np.int64)]
    for track in midi.tracks:
        notes = track.notes.numpy()
        onset = notes["time"].astype(np.int64)
        program = 0 if track.is_drum else track.program
        fixed = [np.full(len(onset), value) for value in (track.is_drum, program)]
        parts.append(np.stack([notes["pitch"], *fixed, onset, onset + notes["duration"]]))
    joined = np.concatenate(parts, axis=1)
    return joined[:, np.lexsort(joined[[4, 3, 2, 1, 0]])]


def assert_heard_alike(score: Score, folder: Path) -> None:
    tokenizer = AbcTokenizer(score.ticks_per_quarter)
    text = tokenizer.to_text(tokenizer.encode(score))
    (folder / "piece.abc").write_text(text.replace("X:1\n", "X:1\n%%MIDI chordattack 0\n", 1))
    arguments = [str(ABC2MIDI), "piece.abc", "-o", "piece.mid", "-silent"]
    subprocess.run(arguments, cwd=folder, capture_output=True, timeout=60, check=False)
    midi = symusic.Score.from_midi((folder / "piece.mid").read_bytes())
    heard = events(midi)
    grid = midi.ticks_per_quarter // score.ticks_per_quarter
    onset = score.onset.astype(np.int64) * grid
    end = onset + score.duration * grid
    written = np.stack([score.pitch, score.is_drum, score.program, onset, end])
    written = written[:, np.lexsort(written[[4, 3, 2, 1, 0]])]
    assert heard.shape == written.shape
    np.testing.assert_array_equal(heard[:3], written[:3])
    assert np.abs(heard[3:] - written[3:]).max() <= midi.ticks_per_quarter / 48


def voices(score: Score) -> int:
    tokenizer = AbcTokenizer(score.ticks_per_quarter)
    text = tokenizer.to_text(tokenizer.encode(score))
    return max([1, *map(int, re.findall(r"\[V:(\d+)", text))])


@pytest.mark.parametrize("corpus", CORPORA)
def test_real_music_is_heard_alike(corpus: str, tmp_path: Path) -> None:
    heard = 0
    for _, midi in corpus_members(corpus, limit=25):
        try:
            score = from_midi(midi, 24)
        except ScoreError:
            continue
        if voices(score) <= CHANNELS:
            assert_heard_alike(score, tmp_path)
            heard += 1
    assert heard >= 10
