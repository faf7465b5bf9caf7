"""The folk source: the ABC tunes that travel inside the music21 package, as tars of MIDI.

Some 13,000 tunes: Essen (German, Chinese and other folk songs), O'Neill, Aird, Ryan and others.
Parts of the corpus are for non-commercial use; see the licence files beside the tunes. music21 is
never imported, which would take longer than reading its files.
"""

from __future__ import annotations

import importlib.util
import io
import re
import tarfile
from pathlib import Path

import symusic

from data.packed import DataError
from data.storage import Location

FILES_PER_SHARD = 400

# What is not to be played: chord names and fingerings, grace notes, decorations, comments. The tune
# is wanted as it is written; abc2midi would play out trills, rolls and staccato.
_SILENT = re.compile(r'"[^"]*"|\{[^}]*\}|![^!\n]*!|%.*')
_ORNAMENT = re.compile(r"[.~HLMOPSTuv](?=[.~HLMOPSTuv(]*[\^_=]*[A-Ga-g\[])")
# Repeat signs and the numbers of endings: each section is taken once. Played out, half of every
# dance would be a copy of the other half, and the loss would measure who can copy.
_REPEAT = re.compile(r":*\|+:+|:+\|+|::")
_ENDING = re.compile(r"([|\[])\s*[1-9](?:[,-][1-9])*(?=[\s\[(\^_=A-Ga-gz])")
# abc2midi dots the quavers of whatever calls itself a hornpipe.
_RHYTHM = re.compile(r"^R:.*\n", re.MULTILINE)
_FIRST_BAR = re.compile(r"[\s|:\[\]]*([^|]*?[A-Ga-g][^|]*)\|")
_INLINE_FIELD = re.compile(r"\[[A-Za-z]:[^\]]*\]")
_SOUND = re.compile(r"\[[^\]]*\]|[A-Ga-g]")
# Dotted pairs (`A>B`) are three to one, as players read them, and a chord's notes start together;
# abc2midi defaults to two to one and to a strum.
_PLAYED = "%%MIDI ratio 3 1\n%%MIDI chordattack 0\n"


def tunes() -> list[tuple[str, str]]:
    """(name, ABC text) of every tune, in order of name. Raises DataError without music21."""
    found = importlib.util.find_spec("music21")
    if found is None or not found.submodule_search_locations:
        raise DataError("the folk source needs the music21 package; run pip install music21")
    corpus = Path(found.submodule_search_locations[0]) / "corpus"
    named = []
    for file in sorted(corpus.rglob("*.abc")):
        text = file.read_text(encoding="utf-8", errors="replace").replace("\r", "")
        for index, tune in enumerate(re.split(r"^(?=X:)", text, flags=re.MULTILINE)[1:]):
            named.append((f"{file.parent.name}/{file.stem}/{index:04d}", tune))
    if not named:
        raise DataError(f"the folk source is empty: no ABC files below {corpus}")
    return named


def to_midi(tune: str) -> bytes:
    """A tune as a MIDI file whose bar lines are the tune's. Raises ValueError if it is no ABC."""
    parts = re.split(r"^(K:.*\n)", _SILENT.sub("", tune), maxsplit=1, flags=re.MULTILINE)
    if len(parts) < 3:
        raise ValueError("no ABC tune: it has no key")
    head, key, body = parts
    body = _ORNAMENT.sub("", _ENDING.sub("|", _REPEAT.sub("|", body)))
    try:
        midi = symusic.Score.from_abc(_RHYTHM.sub("", head) + _PLAYED + key + body)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"abc2midi: {' '.join(str(error).split())[:200]}") from None
    return align(midi, sounds_before_bar(body)).dumps_midi()


def sounds_before_bar(body: str) -> int:
    """How many notes and chords stand before the first bar line of a tune's music."""
    first = _FIRST_BAR.match(_INLINE_FIELD.sub("", body))
    return len(_SOUND.findall(first[1])) if first else 0


def align(midi: symusic.Score, sounds: int) -> symusic.Score:
    """Begin with rests so that what follows the first `sounds` notes stands on a bar line.

    abc2midi puts an upbeat at time 0, which would shift every bar of the tune.
    """
    onsets = sorted({note.time for track in midi.tracks for note in track.notes})
    meter = next(iter(midi.time_signatures), None)
    if meter is None or not 0 < sounds < len(onsets):
        return midi
    bar = meter.numerator * 4 * midi.ticks_per_quarter // meter.denominator
    # abc2midi starts notes one tick late.
    upbeat = onsets[sounds] - 1
    if not 0 < upbeat < bar:
        return midi
    shifted = midi.shift_time(bar - upbeat)
    for events in (shifted.tempos, shifted.time_signatures, shifted.key_signatures):
        for event in events:
            if event.time <= bar - upbeat:
                event.time = 0
    return shifted


def write_shard(path: Location, named: list[tuple[str, str]]) -> None:
    """A tar of the tunes as MIDI; one that cannot be converted goes in empty, to be rejected."""
    with path.writing() as file, tarfile.open(file, "w") as tar:
        for name, tune in named:
            try:
                data = to_midi(tune)
            except ValueError:
                data = b""
            entry = tarfile.TarInfo(f"{name}.mid")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
