"""A study of two sizes of two architectures, put together without training anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.abc.tokenizer import AbcTokenizer
from data.store.location import Location
from tests.conftest import CELL
from tests.data.conftest import melody
from trainers.samples.cells import Trained
from trainers.samples.measures import share
from trainers.samples.novelty import Index, joined
from trainers.samples.study import Composed, Piece, Study, piece


@pytest.fixture(scope="session")
def tokenizer() -> AbcTokenizer:
    return AbcTokenizer()


@pytest.fixture(scope="session")
def study(tokenizer: AbcTokenizer) -> Study:
    generator, index = np.random.default_rng(0), Index.of(joined([]))

    def tune(name: str, log_probability: float | None) -> Piece:
        score = melody((60 + np.cumsum(generator.integers(-3, 4, size=24))).tolist())
        return piece(name, score, tokenizer.encode(score), log_probability, index)

    base = replace(CELL, arch="lstm", tokens=1024, batch_tokens=1024, context=256, vocab_size=140)
    composed = [
        Composed(
            Trained(
                replace(base, arch=arch, size=size),
                Location("/nowhere"),
                n,
                1.5,
                f"{arch}-{size}-seed0",
            ),
            [tune(f"{arch}-{size}-{number}", -50.0) for number in range(3)],
            share(3, 4),
            share(1, 4),
        )
        for arch in ("lstm", "transformer")
        for size, n in (("4k", 4000), ("20k", 20_000))
    ]
    return Study(composed, [tune(f"test-{number}", None) for number in range(1, 8)])
