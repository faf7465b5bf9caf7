"""Standard MIDI files, written byte by byte."""

from __future__ import annotations

import struct

END = b"\x00\xff\x2f\x00"


def number(value: int) -> bytes:
    """Of variable length, as delta times are."""
    low = [value & 0x7F]
    while value := value >> 7:
        low.append(value & 0x7F | 0x80)
    return bytes(reversed(low))


def chunk(body: bytes, name: bytes = b"MTrk") -> bytes:
    return name + struct.pack(">I", len(body)) + body


def smf(
    *tracks: bytes, form: int = 1, count: int | None = None, division: int = 480, more: bytes = b""
) -> bytes:
    """count: what the header says of the tracks. more: of the header."""
    said = len(tracks) if count is None else count
    header = struct.pack(">HHH", form, said, division) + more
    return chunk(header, b"MThd") + b"".join(map(chunk, tracks))


def quarters(pitch: int = 60, channel: int = 0) -> bytes:
    """Four notes, one after the other, each a semitone higher."""
    return b"".join(
        bytes([0, 0x90 | channel, each, 80]) + number(480) + bytes([0x80 | channel, each, 64])
        for each in range(pitch, pitch + 4)
    )


def hexed(text: str) -> bytes:
    """Bytes as they stand in a listing."""
    return bytes.fromhex(text)
