"""A small data set with something to learn, in the packed form that training reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from data.packed import Manifest, write_split
from trainers.cell import Cell

VOCAB = 32
BOS, EOS = 0, 1


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pieces that count upwards from a random token, so that the next token can be known."""
    folder = tmp_path_factory.mktemp("packed")
    generator = np.random.default_rng(0)
    for name, pieces in (("train", 200), ("val", 20), ("test", 20)):
        lengths = generator.integers(20, 90, size=pieces)
        tokens = [
            [BOS, *((generator.integers(30) + np.arange(length - 2)) % 30 + 2), EOS]
            for length in lengths
        ]
        write_split(folder, name, np.concatenate(tokens), lengths, lengths // 2, lengths / 4)
    manifest = Manifest("fake", "none", "abc", 24, VOCAB, BOS, {}, {}, {}, {})
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)))
    return folder


@pytest.fixture
def cell() -> Cell:
    return Cell(
        arch="transformer",
        size="4k",
        seed=0,
        lr=0.008,
        tokens=40 * 256,
        batch_tokens=256,
        context=32,
        weight_decay=0.1,
        clip=1.0,
        tokenizer="abc",
        vocab_size=VOCAB,
        data="fake",
    )
