"""A data set in numbers: lengths, pitches, instruments, versions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from data.store.location import Location
from data.store.tables import read_table
from data.tokens.protocol import Tokenizer

SAMPLE = 2_000
"""How many pieces are decoded for the counts of pitches and programs."""


@dataclass(frozen=True)
class Overview:
    lengths: np.ndarray
    """(pieces,) in tokens."""
    seconds: np.ndarray
    """(pieces,)"""
    tracks: np.ndarray
    """(pieces,)"""
    group_sizes: np.ndarray
    """(groups,) how many pieces are versions of each work."""
    pitches: np.ndarray
    """(128,) how many notes of the sample have each pitch, without drums."""
    programs: Counter[str]
    """How many notes of the sample each General MIDI program has, or the drums."""
    sampled: int
    """How many pieces are in the sample."""


def overview(folder: Location, tokenizer: Tokenizer) -> Overview:
    columns = ["piece_id", "group_id", "num_tokens", "seconds", "num_tracks"]
    rows = [read_table(part, columns) for part in (folder / "parts").children()]
    merged = {name: np.concatenate([part[name].to_numpy() for part in rows]) for name in columns}
    # By piece_id, which is a hash: an unbiased sample, and the same however the data were made.
    chosen = set(np.sort(merged["piece_id"])[:SAMPLE].tolist())
    pitches, programs = np.zeros(128, np.int64), Counter[str]()
    for part in (folder / "parts").children():
        table = read_table(part, ["piece_id", "tokens"])
        for piece_id, tokens in zip(table["piece_id"].to_pylist(), table["tokens"]):
            if piece_id not in chosen:
                continue
            score = tokenizer.decode(tokens.values.to_numpy())
            pitches += np.bincount(score.pitch[~score.is_drum], minlength=128)
            found, counts = np.unique(score.program[~score.is_drum], return_counts=True)
            programs.update(dict(zip(map(str, found.tolist()), counts.tolist())))
            programs["drums"] += int(score.is_drum.sum())
    return Overview(
        merged["num_tokens"],
        merged["seconds"],
        merged["num_tracks"],
        np.unique(merged["group_id"].astype(str), return_counts=True)[1],
        pitches,
        +programs,
        len(chosen),
    )
