"""The chunks of a MIDI file, and whether symusic reads them right.

symusic 0.6 is about sixty times as fast as `data.midi.reader`, and reads nearly every file right. A
few searches through the bytes find what it would misread without saying so:

- note-ons without a note-off, which it drops: `marked` adds note-offs far beyond each track's end;
- controllers that end notes, and drums on channels other than 10, which it does not know;
- system-exclusive messages in packets, and running status after such a message;
- programs that a track without notes sets for other tracks;
- times of 2^31 ticks and more, and denominators of 2^32 and more, which wrap around;
- a header of more than 6 bytes, or one that gets the number of tracks wrong.

A file may be suspected without cause; it then only takes longer to read.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator

import numpy as np

from data.midi.events import CONTROL, NOTE_OFF, NOTE_ON, PROGRAM, MidiError, events, number

HEADER = struct.Struct(">4sIHHH")
CHUNK = struct.Struct(">4sI")

FAR = 2**28 - 1
"""Ticks: the largest delta time, by which notes without a note-off outlast their track."""
LIMIT = 2**31 - 2 * FAR
"""The most ticks in a track, such that with `FAR` added it stays below where symusic wraps."""


def _note_offs(channel: int) -> bytes:
    """Note-offs of all pitches at once; they follow a delta time, and end with the next one, 0."""
    return bytes([NOTE_OFF | channel]) + b"".join(bytes([pitch, 0, 0]) for pitch in range(128))


_END = b"\xff\x2f\x00"
_FAR = b"\xff\x7f\x00" + b"\xff\xff\xff\x7f"
_OFFS = [_note_offs(channel) for channel in range(16)]
_NOTE_ONS = [(NOTE_ON | channel, channel) for channel in range(16)]
_PROGRAMS = [PROGRAM | channel for channel in range(16)]
_SYSTEM = re.compile(rb"[\xf0\xf7]")
# A pattern that begins with a fixed byte is searched for at the speed of memory.
_ENDS_OR_METER = re.compile(rb"\xff(?=\x2f|\x58\x04.[\x20-\xff])", re.DOTALL)
_CONTROLS = [
    re.compile(
        b"\\x%x" % (CONTROL | channel)
        + rb"(?=(?:[\0-\x7f]{2}[\x80-\xff]{0,3}[\0-\x7f]){0,255}?(?:[\x78\x7b-\x7f]|\0\x7f))"
    )
    for channel in range(16)
]
"""A controller that ends notes, or selects the drum bank; also in running status, after others.

Only after a limited number of others: the bytes of a hostile file could be read again and again."""
_LONGEST = 4096
"""Bytes of a system-exclusive message. A longer one is suspect, for the same reason."""

RHYTHM = re.compile(
    rb"\x41.\x42\x12\x40[\x10-\x1f]\x15(?P<gs>.)"  # GS: use for rhythm part
    rb"|\x43[\x10-\x1f]\x4c\x08(?P<xg_part>.)\x07(?P<xg>.)",  # XG: part mode
    re.DOTALL,
)
"""System-exclusive messages that assign a channel to the drums, or take it from them."""


def unwrapped(data: bytes) -> bytes:
    """The MIDI file inside a RIFF file of the form RMID; any other bytes unchanged."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"data":
            return data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return data


def tracks(data: bytes) -> tuple[int, int, list[bytes]]:
    """Ticks per quarter, the number of tracks by the header, and the bodies of the tracks found.

    Raises MidiError if there is no header, for SMPTE time and format 2, and if a track is longer
    than the file.
    """
    if len(data) < HEADER.size or data[:4] != b"MThd":
        raise MidiError("it does not begin with the header of one")
    _, size, form, count, division = HEADER.unpack_from(data)
    if division & 0x8000:
        frames, parts = 256 - (division >> 8), division & 0xFF
        raise MidiError(f"its ticks are SMPTE time, {frames} frames of {parts}, not of quarters")
    if form > 1:
        raise MidiError(f"it is of format {form}, pieces side by side; expected 0 or 1")
    bodies: list[bytes] = []
    at = 8 + size
    while at + 8 <= len(data):
        name, size = CHUNK.unpack_from(data, at)
        at += 8
        if name == b"MTrk":
            if at + size > len(data):
                raise MidiError(
                    f"its track {len(bodies) + 1} has {size:,} bytes, more than are left"
                )
            bodies.append(data[at : at + size])
        at += size
    return division, count, bodies


def marked(data: bytes) -> list[bytes]:
    """Variants of the file for symusic: it must be able to read all of them, and the last counts.

    In the last, notes without a note-off last more than `FAR` ticks. Empty if `data.midi.reader`
    has to read the file.
    """
    if len(data) < HEADER.size:
        return []
    name, size, form, count, division = HEADER.unpack_from(data)
    if name != b"MThd" or size != 6 or form > 1 or division & 0x8000:
        return []
    bodies, sounding, suspects = [], [], []
    at = HEADER.size
    for _ in range(count):
        if at + 8 > len(data):
            return []
        name, size = CHUNK.unpack_from(data, at)
        stop = at + 8 + size
        body = data[at + 8 : stop - 3]
        channels = [channel for status, channel in _NOTE_ONS if status in body]
        if name != b"MTrk" or data[stop - 3 : stop] != _END or _ENDS_OR_METER.search(body):
            return []
        bodies.append(body)
        sounding.append(channels)
        suspects.append(_suspects(body, channels))
        at = stop
    if at != len(data) or (not all(sounding) and _shared(bodies, sounding)):
        return []
    if _most_ticks(data) >= LIMIT and any(_last_tick(body) >= LIMIT for body in bodies):
        return []
    ended = [
        b"".join([body, _FAR, *[_OFFS[channel] for channel in channels]]) if channels else body
        for body, channels in zip(bodies, sounding)
    ]
    contents = [_joined(data, ended)]
    if any(suspects):
        contents.insert(0, _joined(data, list(map(_without_statuses, bodies, suspects))))
    return contents


def _joined(data: bytes, bodies: list[bytes]) -> bytes:
    """A file with these tracks and the header of `data`."""
    chunks = [data[: HEADER.size]]
    for body in bodies:
        chunks += (CHUNK.pack(b"MTrk", len(body) + 3), body, _END)
    return b"".join(chunks)


def _most_ticks(data: bytes) -> int:
    """An upper limit for the ticks of any track, from the bytes that could form long delta times.

    A delta time of two bytes is below 2^14 ticks, and takes three bytes or more with its event. One
    of three bytes is below 2^21 and begins with two high bytes; one of four begins with three.
    """
    high = np.frombuffer(data, np.int8) < 0
    pairs = high[:-1] & high[1:]
    count, triples = int(np.count_nonzero(pairs)), 0
    if count:
        triples = int(np.count_nonzero(pairs[:-1] & high[2:]))
    return (len(data) // 3 << 14) + (count << 21) + (triples << 28)


def _last_tick(body: bytes) -> int:
    """A limit for the ticks of a track; `LIMIT` if they are too many, or it cannot be read."""
    most = _most_ticks(body)
    if most < LIMIT:
        return most
    try:
        return max(tick for tick, _, _ in events(body + _END, Counter()))
    except MidiError:
        return LIMIT


def _shared(bodies: list[bytes], sounding: list[list[int]]) -> bool:
    """Whether a track without notes sets the program of a track that sets none itself."""
    shared: set[int] = set()
    for body, channels in zip(bodies, sounding):
        if not channels and any(status in body for status in _PROGRAMS):
            shared |= {status & 0x0F for status in _program_changes(body)}
    return any(
        PROGRAM | channel not in _program_changes(body)
        for body, channels in zip(bodies, sounding)
        for channel in shared.intersection(channels)
    )


def _program_changes(body: bytes) -> Iterator[int]:
    """The statuses of a track's program changes, as far as it can be read."""
    try:
        for _, status, _ in events(body, Counter()):
            if status & 0xF0 == PROGRAM:
                yield status
    except MidiError:
        return


def _suspects(body: bytes, channels: list[int]) -> list[int]:
    """Where events that symusic does not know may begin; many of these bytes are delta times.

    channels: those that may have notes.
    """
    found = []
    for channel in channels:
        if CONTROL | channel in body:
            found += [control.start() for control in _CONTROLS[channel].finditer(body)]
    if 0xF0 in body or 0xF7 in body:
        stop = 0
        for system in _SYSTEM.finditer(body):
            if system.start() >= stop:
                stop = _plain_end(body, system.start())
                if not stop:
                    found.append(system.start())
    # An event follows a delta time, whose last byte is low.
    return [at for at in found if at and body[at - 1] < 0x80]


def _without_statuses(body: bytes, places: list[int]) -> bytes:
    """A track that symusic refuses if an event begins at one of `places`.

    F4 is not a valid status. Inside a delta time, it only changes that time a little.
    """
    tried = bytearray(body)
    for at in places:
        tried[at] = 0xF4
    return bytes(tried)


def _plain_end(body: bytes, at: int) -> int:
    """Where a system-exclusive message ends, if it is one packet and a status follows; else 0.

    Also 0 for messages that concern drums.
    """
    try:
        size, start = number(body, at + 1)
        stop = start + size
        _, after = number(body, stop)
    except MidiError:
        return 0
    if size > _LONGEST:
        return 0
    message = body[start:stop]
    whole = body[at] == 0xF0 and message[-1:] == b"\xf7" and message[:-1].isascii()
    followed = after == len(body) or body[after] >= 0x80
    return stop if whole and followed and not RHYTHM.match(message) else 0
