"""What abcjs, abcm2ps and music21, which people open ABC with, make of texts.

abcjs 6.7 changes the tempo of the voice in which the change stands, and of others where a symbol
happens to begin then: what it plays is compared without changes of tempo.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from data.music.score import Score
from data.notation import abc_text, musicxml

SCRIPT = Path(__file__).with_name("abcjs.js")
WHOLE_NOTES = 1e-3
"""How far abcjs's times may be off; the grid is ten times coarser."""


@cache
def lacking(name: str) -> str:
    """What to install so that `abcjs` or `abcm2ps` is there; nothing if it is."""
    if name == "abcm2ps":
        return (
            "" if shutil.which("abcm2ps") else "needs abcm2ps (on Debian: apt-get install abcm2ps)"
        )
    if shutil.which("node") is None:
        return "needs node (on Debian: apt-get install nodejs npm)"
    command = ["node", "-e", "require('abcjs')"]
    ran = subprocess.run(command, cwd=SCRIPT.parent, capture_output=True, check=False)
    return "needs abcjs (npm install --no-save abcjs@6.7.2)" if ran.returncode else ""


def abcjs(texts: Sequence[str], scores: Sequence[Score]) -> list[str]:
    """What abcjs warns of, and where it plays other notes than `scores`; a line for each text,
    empty if it reads it right."""
    lines = "".join(json.dumps(text) + "\n" for text in [*texts, *map(_steady, texts)])
    ran = subprocess.run(["node", SCRIPT], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == 2 * len(texts)
    return [
        "; ".join(read["warnings"][:2]) or _other(steady["notes"], score)
        for read, steady, score in zip(answers, answers[len(texts) :], scores)
    ]


def _steady(text: str) -> str:
    return re.sub(r"\[Q:[^\]]*\]", "", text)


def _other(notes: Sequence[Sequence[float]], score: Score) -> str:
    """How notes (pitch, drums, program, start and end in whole notes) differ from the score's."""
    whole = 4 * score.ticks_per_quarter
    onset, end = score.onset / whole, (score.onset + score.duration) / whole
    wanted = _sorted(np.stack([score.pitch, score.is_drum, score.program, onset, end], axis=1))
    played = _sorted(np.array(list(notes), float).reshape(-1, 5))
    if len(played) != len(wanted):
        return f"{len(played)} notes for {len(wanted)}"
    off = np.abs(played - wanted).max(axis=0, initial=0)
    if (off[:3] > 0).any():
        return "other pitches or instruments"
    # What is no number is off, too.
    return "" if (off[3:] <= WHOLE_NOTES).all() else "other times"


def _sorted(notes: np.ndarray) -> np.ndarray:
    return notes[np.lexsort((np.round(notes[:, 3], 3), *notes[:, 2::-1].T))]


def abcm2ps(text: str) -> str:
    """The first error that abcm2ps reports of a text; nothing if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.abc").write_text(text)
        command = ["abcm2ps", "-q", "-O", "t.ps", "t.abc"]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = [line for line in (ran.stdout + ran.stderr).splitlines() if "rror" in line]
    return said[0] if said else ""


SEVERAL_VOICES = "several voices, whose lines take turns"
MUSIC21_LIMITS = {
    SEVERAL_VOICES: r"\nV:",
    "a change of key within a line": r"\[K:",
    "a field within a tuplet": r"\(3[^(|]*\[[QMK]:",
    "a field between tied notes": r"-[\s|]*\[[QMK]:",
}
"""What its reader of ABC (9.7) does not take, and how that looks: it begins a part at every `V:`,
passes over keys that are not lines, and counts fields in brackets as notes of
a tuplet, and as notes that end a tie."""


def music21(score: Score) -> str:
    """What music21 reads otherwise of our ABC; nothing if it reads it right."""
    text = abc_text.write(score)
    met = [limit for limit, looks in MUSIC21_LIMITS.items() if re.search(looks, text)]
    said = "" if SEVERAL_VOICES in met else _by_music21(text, "abc", score)
    return f"limit: {met[0]}" if met and (said or SEVERAL_VOICES in met) else said


def music21_of_musicxml(score: Score) -> str:
    """What music21 reads otherwise of our MusicXML; nothing if it reads it right."""
    return _by_music21(musicxml.write(score), "musicxml", score)


def _by_music21(text: str, of: str, score: Score) -> str:
    from music21 import converter

    stream = converter.parse(text, format=of)
    heard = [
        (pitch.midi, 0, 0, *(float(time) / 4 for time in (start, start + note.quarterLength)))
        for part in stream.parts
        # A natural that is shown once and then not again is no reason to strike a note anew.
        for note in part.stripTies(matchByPitch=False).recurse().notes
        for start in [note.getOffsetInHierarchy(stream)]
        for pitch in note.pitches
    ]
    # It does not say what is played by which instrument.
    nothing = np.zeros_like(score.pitch)
    return _other(heard, replace(score, is_drum=nothing.astype(bool), program=nothing))
