"""The chunks of a MIDI file, and whether symusic reads them right.

symusic 0.6 is a hundred times quicker than `data.midi_reader` and right about nearly every file.
What it reads wrongly, in silence, is found here by a few searches through the bytes:

- note-ons without an off, which it drops: `marked` puts note-offs far behind each track's end;
- controllers that end notes, and drums on other channels than 10, which it does not know;
- system-exclusive messages in packets, and running status behind one;
- programs that a track without notes sets for others;
- times from 2^31 ticks and denominators from 2^32, which wrap;
- a header of more than 6 bytes, or with another number of tracks than there are.

A file may be suspected without cause; then it only takes longer.
"""

from __future__ import annotations

import re
import struct
from collections import Counter

import numpy as np

from data.midi_events import CONTROL, NOTE_OFF, NOTE_ON, PROGRAM, MidiError, events, number

HEADER = struct.Struct(">4sIHHH")
CHUNK = struct.Struct(">4sI")

FAR = 2**28 - 1
"""Ticks, the largest delta time: by so much do notes outlast their track that have no off."""


def _note_offs(channel: int) -> bytes:
    """At one moment, of all pitches; behind a delta time, and ending with the next one, of 0."""
    return bytes([NOTE_OFF | channel]) + b"".join(bytes([pitch, 0, 0]) for pitch in range(128))


_END = b"\xff\x2f\x00"
_FAR = b"\xff\x7f\x00" + b"\xff\xff\xff\x7f"
_OFFS = [_note_offs(channel) for channel in range(16)]
_NOTE_ONS = [(NOTE_ON | channel, channel) for channel in range(16)]
_PROGRAMS = [PROGRAM | channel for channel in range(16)]
_TEMPO, _METER = b"\xff\x51\x03", b"\xff\x58\x04"
_SYSTEM = re.compile(rb"[\xf0\xf7]")
_SILENCING = [
    [bytes([CONTROL | channel, number]) for number in (120, 123)] for channel in range(16)
]
_DRUM_BANK = [bytes([CONTROL | channel, 0, 127]) for channel in range(16)]
_RUNNING_DRUM_BANK = b"\x00\x00\x7f"

RHYTHM = re.compile(
    rb"\x41.\x42\x12\x40[\x10-\x1f]\x15(?P<gs>.)"  # GS: use for rhythm part
    rb"|\x43[\x10-\x1f]\x4c\x08(?P<xg_part>.)\x07(?P<xg>.)",  # XG: part mode
    re.DOTALL,
)
"""System-exclusive messages that make a channel one of drums, or take it from them."""


def unwrapped(data: bytes) -> bytes:
    """The MIDI file within a RIFF file of the form RMID; any other bytes as they are."""
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
    """Ticks a quarter, the header's number of tracks, and the bodies of those that are there.

    Raises MidiError: no header, SMPTE time, format 2, a track longer than the file.
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


def marked(data: bytes) -> bytes | None:
    """The file, if symusic reads it right, so that notes without an off last over `FAR` ticks.

    None if it is to be read by `data.midi_reader`.
    """
    if len(data) < HEADER.size:
        return None
    name, size, form, count, division = HEADER.unpack_from(data)
    if name != b"MThd" or size != 6 or form > 1 or division & 0x8000 or _may_wrap(data):
        return None
    parts = [data[: HEADER.size]]
    at = HEADER.size
    for _ in range(count):
        if at + 8 > len(data):
            return None
        name, size = CHUNK.unpack_from(data, at)
        stop = at + 8 + size
        if name != b"MTrk" or data.find(_END, at + 8) != stop - 3:
            return None
        body = data[at + 8 : stop - 3]
        channels = [channel for status, channel in _NOTE_ONS if status in body]
        if not _plain(body, channels):
            return None
        if channels:
            offs = b"".join([_OFFS[channel] for channel in channels])
            body += _FAR + offs
        parts += (CHUNK.pack(b"MTrk", len(body) + 3), body, _END)
        at = stop
    return b"".join(parts) if at == len(data) else None


def _may_wrap(data: bytes) -> bool:
    """Whether the ticks of a track might add up to 2^31, by how many bytes could be long times.

    A delta time of two bytes has less than 2^14 ticks and takes three bytes with its event; one of
    three has less than 2^21 and begins with a pair of high bytes, one of four, with three of them.
    """
    high = np.frombuffer(data, np.int8) < 0
    pairs = high[:-1] & high[1:]
    count, triples = np.count_nonzero(pairs), np.count_nonzero(pairs[:-1] & high[2:])
    most = (len(data) // 3 << 14) + (int(count) << 21) + (int(triples) << 28)
    return most > 2**31 - 2 * FAR


def _plain(body: bytes, channels: list[int]) -> bool:
    """Whether symusic knows all that a track says. channels: that may have notes."""
    if not channels and any(status in body for status in _PROGRAMS) and _sets_programs(body):
        return False
    for channel in channels:
        if CONTROL | channel in body:
            if any(control in body for control in _SILENCING[channel]):
                return False
            if _DRUM_BANK[channel] in body or _RUNNING_DRUM_BANK in body:
                return False
    at = body.find(_METER)
    while at >= 0:
        if body[at + 4 : at + 5] > b"\x1f":
            return False
        at = body.find(_METER, at + 1)
    return (0xF0 not in body and 0xF7 not in body) or _plain_sysex(body)


def _sets_programs(body: bytes) -> bool:
    try:
        return any(status & 0xF0 == PROGRAM for _, status, _ in events(body, Counter()))
    except MidiError:
        return True


def _plain_sysex(body: bytes) -> bool:
    """Whether each system-exclusive message is in one packet, and a status behind it."""
    stop = 0
    for found in _SYSTEM.finditer(body):
        at = found.start()
        if at < stop or _TEMPO in body[max(at - 5, 0) : at]:
            continue
        try:
            size, start = number(body, at + 1)
            stop = start + size
            message = body[start:stop]
            _, after = number(body, stop)
        except MidiError:
            return False
        if body[at] == 0xF7 or message[-1:] != b"\xf7" or not message[:-1].isascii():
            return False
        if body[after : after + 1] < b"\x80" and after < len(body):
            return False
        if RHYTHM.match(message):
            return False
    return True
