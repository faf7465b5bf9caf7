"""What one file holds, by the ending of its name: MIDI, or notation that is played as MIDI."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Protocol

from data.music.files import to_midi
from data.music.score import DEFAULT_TICKS_PER_QUARTER
from data.notation import musicxml_reader
from data.notation.musicxml_reader import MusicXmlError

MIDI = (".mid", ".midi", ".kar", ".rmi")
PACKED_MIDI = (".mid.gz", ".midi.gz")
MUSICXML = (".musicxml", ".mxl")
READ = (*MIDI, *PACKED_MIDI, *MUSICXML)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP = ".zip"
MAX_BYTES = 16 * 2**20
"""Of one file. The largest file of the Lakh corpus has less than 4 MiB."""


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """At most so many bytes, and fewer only at the end."""
        ...


@dataclass(frozen=True)
class Refused:
    """Why a file is left out: a reason to be counted, and a detail to be read."""

    reason: str
    detail: str


def is_member(name: str) -> bool:
    """Whether a member of an archive is read, or refused with a reason; others are no music."""
    return name.lower().endswith((*READ, *TARS, ZIP))


def member(name: str, stream: Readable) -> bytes | Refused:
    """The MIDI file in a file of this name."""
    lower = name.lower()
    if lower.endswith((*TARS, ZIP)):
        return Refused("refused", "it is an archive within an archive; unpack it")
    content = bounded(stream)
    if isinstance(content, Refused) or lower.endswith(MIDI):
        return content
    if lower.endswith(PACKED_MIDI):
        return _unpacked(content)
    try:
        return to_midi(musicxml_reader.read(content, DEFAULT_TICKS_PER_QUARTER))
    except MusicXmlError as error:
        return Refused("unreadable", str(error))


def bounded(stream: Readable) -> bytes | Refused:
    """All of a file, unless it is too large."""
    content = stream.read(MAX_BYTES + 1)
    return too_large(len(content)) or content


def too_large(size: int) -> Refused | None:
    if size <= MAX_BYTES:
        return None
    return Refused("refused", f"it has {size:,} bytes, more than {MAX_BYTES:,}")


def _unpacked(content: bytes) -> bytes | Refused:
    """A file that gzip packed, its first part: MIDI has no others."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(content, MAX_BYTES + 1)
    except zlib.error as error:
        return Refused("refused", f"it cannot be unpacked: {error}")
    if not unpacking.eof and len(found) <= MAX_BYTES:
        return Refused("refused", "it cannot be unpacked: it ends early")
    return too_large(len(found)) or found


def shown(name: str) -> str:
    """A name whose bytes are not all UTF-8, with the others escaped."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
