"""Copying is found in any key, and what is new is not called a copy."""

from __future__ import annotations

import numpy as np
import pytest

from data.works import signatures
from tests.data.conftest import melody
from trainers.samples.novelty import Index, joined

GENERATOR = np.random.default_rng(0)
TUNES = [GENERATOR.integers(60, 80, size=60) for _ in range(20)]
LINES = [line for tune in TUNES for line in signatures.lines(melody(tune.tolist()))]
INDEX = Index.of(joined(LINES))


def test_a_planted_copy_in_another_key_is_found() -> None:
    before, after = GENERATOR.integers(60, 80, size=(2, 20))
    planted = np.concatenate([before, TUNES[7][10:40] + 5, after])
    found = INDEX.novelty(signatures.lines(melody(planted.tolist())))
    assert found.longest == 30
    assert found.copied == pytest.approx(22 / 62)


def test_a_passage_does_not_go_on_from_one_piece_into_another() -> None:
    joined = np.concatenate([TUNES[3][-12:], TUNES[4][:12]])
    assert INDEX.novelty(signatures.lines(melody(joined.tolist()))).longest == 12


def test_a_whole_training_piece_is_a_copy_from_end_to_end() -> None:
    found = INDEX.novelty(signatures.lines(melody(TUNES[0].tolist())))
    assert (found.copied, found.longest) == (1.0, 60)


def test_what_is_new_is_no_copy() -> None:
    found = INDEX.novelty(signatures.lines(melody(GENERATOR.integers(30, 50, size=60).tolist())))
    assert (found.copied, found.longest) == (0.0, 0)


def test_too_short_to_tell() -> None:
    assert np.isnan(INDEX.novelty(signatures.lines(melody([60, 62, 64]))).copied)
