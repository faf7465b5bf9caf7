"""The events of one track of a MIDI file, from its bytes (Standard MIDI Files 1.0).

Slow but complete, for the few files that symusic misreads; see `data.midi.chunks`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0
"""The statuses for channel 1; the low four bits are the channel."""
SYSEX, CONTINUED, META = 0xF0, 0xF7, 0xFF
END_OF_TRACK, TEMPO, METER, KEY = 0x2F, 0x51, 0x58, 0x59
"""The kinds of meta events that matter here."""

# How many data bytes follow a status: for channel messages by its high half, and for system ones.
_CHANNEL = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}
_SYSTEM = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}

Event = tuple[int, int, bytes]
"""Tick, status and data. The data of a meta event begin with its kind. Those of a system-exclusive
message are its first `LONGEST` bytes, from all of its packets, without F0 and F7."""
LONGEST = 64


class MidiError(ValueError):
    """Bytes that are not a MIDI file, or are one that is refused; the message is one line."""


def events(track: bytes, mended: Counter[str]) -> Iterator[Event]:
    """The events in the body of a track chunk; the end of the track comes last.

    mended: counts `running_status`, each use of a status that a system-exclusive message has
    cancelled. It is used all the same, because such a file cannot be read in any other way.
    Raises MidiError where an event was expected but none begins, or where one does not end.
    """
    at = tick = running = 0
    cancelled = False
    packets = b""
    while at < len(track):
        delta, at = number(track, at)
        tick += delta
        status = _byte(track, at)
        if status < 0x80:
            if not running:
                raise MidiError(f"byte {at} of a track is {status:#04x}, expected a status")
            mended["running_status"] += cancelled
            status = running
        else:
            at += 1
        cancelled = False
        if status < 0xF0:
            running = status
            size = _CHANNEL[status >> 4]
        elif status == META:
            kind = track[at : at + 1]
            size, at = number(track, at + 1)
        elif status in (SYSEX, CONTINUED):
            size, at = number(track, at)
        elif status in _SYSTEM:
            size = _SYSTEM[status]
        else:
            raise MidiError(f"byte {at - 1} of a track is {status:#04x}, which is no status")
        data = track[at : at + size]
        at += size
        if at > len(track):
            raise MidiError(f"a track ends {at - len(track):,} bytes before its last event")
        if status < 0xF0:
            if not data.isascii():
                raise MidiError(f"an event {status:#04x} has the data {data.hex(' ')}, over 7f")
            yield tick, status, data
        elif status == META:
            if kind[0] == END_OF_TRACK:
                break
            yield tick, status, kind + data
        elif status in (SYSEX, CONTINUED):
            cancelled = running > 0
            # Outside a message, F7 escapes bytes that mean nothing to a score.
            packets = data if status == SYSEX else (packets + data)[:LONGEST] if packets else b""
            if packets and data.endswith(b"\xf7"):
                yield tick, SYSEX, packets.removesuffix(b"\xf7")
                packets = b""
    yield tick, META, bytes([END_OF_TRACK])


def number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, at most four bytes, and where it ends. Raises MidiError."""
    value = 0
    for place in range(at, at + 4):
        byte = _byte(data, place)
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise MidiError(f"byte {at} of a track begins a number of more than four bytes")


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise MidiError("a track ends inside an event")
    return data[at]
