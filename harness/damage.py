"""Random damage to MIDI files."""

from __future__ import annotations

import numpy as np


def mutate(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """`content` with one to three random kinds of damage.

    Flipped bits, a cut-off end, an absurd chunk length or delta time, endless running status, a
    rewritten header, or inserted bytes of another file.
    """
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, max(len(data), 1)))
        kind = int(rng.integers(0, 7))
        if kind == 0:
            for place in rng.integers(0, max(len(data), 1), int(rng.integers(1, 40))).tolist():
                data[place : place + 1] = bytes([data[place] ^ 1 << int(rng.integers(0, 8))])
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            chunk = data.find(b"MTrk", at % max(len(data) // 2, 1))
            data[chunk + 4 : chunk + 8] = rng.bytes(4)
        elif kind == 3:
            data[at:at] = b"\xff\xff\xff\x7f" * int(rng.integers(1, 20))
        elif kind == 4:
            data[at:at] = b"\x00\x90" + bytes(rng.integers(0, 128, 3000).astype(np.uint8))
        elif kind == 5:
            data[8:14] = rng.bytes(6)
        else:
            data[at:at] = other[at : at + 200]
    return bytes(data)
