"""The folk source: the ABC tunes that come with the music21 package, played by abc2midi.

There are about 13,000 tunes: Essen (German, Chinese and other folk songs), O'Neill, Aird, Ryan and
others. Some are for non-commercial use only; see the licence files beside the tunes. music21 itself
is never imported, because that would take longer than reading its files.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import symusic

from data.errors import DataError
from data.sources.containers import Shard
from data.sources.licences import Licence
from data.sources.members import Refused

TITLE = "folk tunes of the music21 package"
TUNES_PER_SHARD = 400

LICENCE = Licence(
    "other",
    "The tunes come with the music21 package, each collection under its own licence; some are for "
    "non-commercial use only: see the licence files beside them there.",
)

# What should not be played: chord names and fingerings, grace notes, decorations, comments. We want
# the tune as it is written, whereas abc2midi would play out trills, rolls and staccato. A comment
# is removed with its line, since an empty line would end the tune.
_SILENT = re.compile(r'^%.*\n|"[^"]*"|\{[^}]*\}|![^!\n]*!|%.*', re.MULTILINE)
_ORNAMENT = re.compile(r"[.~HLMOPSTuv](?=[.~HLMOPSTuv(]*[\^_=]*[A-Ga-g\[])")
# Repeat signs and the numbers of endings: each section is played once. Otherwise half of every
# dance would be a copy of the other half, and the loss would measure the ability to copy.
_REPEAT = re.compile(r":*\|+:+|:+\|+|::")
_ENDING = re.compile(r"([|\[])\s*[1-9](?:[,-][1-9])*(?=[\s\[(\^_=A-Ga-gz])")
# abc2midi plays dotted quavers in everything that is called a hornpipe.
_RHYTHM = re.compile(r"^R:.*\n", re.MULTILINE)
_FIRST_BAR = re.compile(r"[\s|:\[\]]*([^|]*?[A-Ga-g][^|]*)\|")
_INLINE_FIELD = re.compile(r"\[[A-Za-z]:[^\]]*\]")
_SOUND = re.compile(r"\[[^\]]*\]|[A-Ga-g]")
# Dotted pairs (`A>B`) are played three to one, as musicians read them, and the notes of a chord
# start together. By default, abc2midi plays pairs two to one, and strums chords.
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


@dataclass(frozen=True)
class Tunes:
    """A shard of the source: the (name, ABC text) of some of the tunes."""

    tunes: tuple[tuple[str, str], ...]

    @property
    def source(self) -> str:
        return "folk"

    def read(self) -> Iterator[tuple[str, bytes | Refused]]:
        for name, text in self.tunes:
            yield f"{name}.mid", to_midi(text)


def shards() -> list[Shard]:
    """All tunes. Raises DataError without music21."""
    found = tunes()
    starts = range(0, len(found), TUNES_PER_SHARD)
    return [Tunes(tuple(found[start : start + TUNES_PER_SHARD])) for start in starts]


def to_midi(tune: str) -> bytes | Refused:
    """A tune as a MIDI file with the same bar lines, or why abc2midi makes no file of it."""
    head, key, body = _header_key_music(tune)
    body = _ORNAMENT.sub("", _ENDING.sub("|", _REPEAT.sub("|", body)))
    content, said = abc2midi(_RHYTHM.sub("", head) + _PLAYED + key + body)
    if content is not None:
        return _aligned(content, body)
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    return Refused("unreadable", f"abc2midi: {errors[-1] if errors else 'it made no MIDI file'}")


def _header_key_music(tune: str) -> tuple[str, str, str]:
    """Header, key and music of a tune; a text without a key is all header."""
    found = re.split(r"^(K:.*\n)", _SILENT.sub("", tune), maxsplit=1, flags=re.MULTILINE)
    return (found[0], found[1], found[2]) if len(found) == 3 else (tune, "", "")


def abc2midi(tune: str) -> tuple[bytes | None, str]:
    """The MIDI file that abc2midi makes of a tune, if any, and the messages that it prints.

    Each tune has a process of its own, since what one tune leaves in the program's memory can
    change the next.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.abc").write_text(re.sub(r"\A\s*X:.*", "X:1", tune) + "\n")
        program = Path(symusic.__file__).parent / "bin" / "abc2midi"
        ran = subprocess.run([program, "t.abc"], cwd=folder, capture_output=True, check=False)
        made = Path(folder) / "t1.mid"
        content = made.read_bytes() if made.exists() else None
    return content, ran.stdout.decode(errors="replace")


def _aligned(content: bytes, body: str) -> bytes | Refused:
    try:
        midi = symusic.Score.from_midi(content)
    except (RuntimeError, ValueError) as error:
        return Refused("unreadable", f"what abc2midi made of it: {' '.join(str(error).split())}")
    return align(midi, sounds_before_bar(body)).dumps_midi()


def sounds_before_bar(body: str) -> int:
    """How many notes and chords stand before the first bar line in the music of a tune."""
    first = _FIRST_BAR.match(_INLINE_FIELD.sub("", body))
    return len(_SOUND.findall(first[1])) if first else 0


def align(midi: symusic.Score, sounds: int) -> symusic.Score:
    """Put rests before an upbeat of `sounds` notes, so that what follows it begins a bar.

    abc2midi puts the upbeat at time 0, which would shift every bar of the tune.
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
