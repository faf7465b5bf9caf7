"""Batches: a function of seed and step, with nothing lost and nothing scored wrongly."""

from __future__ import annotations

import numpy as np
import pytest

from trainers.batches import IGNORED, Batches

TOKENS = np.arange(1, 10_001, dtype=np.uint16) % 1000 + 1


def batches(**changed: object) -> Batches:
    fields: dict = {
        "tokens": TOKENS,
        "bos_id": 0,
        "context": 16,
        "windows_per_batch": 4,
        "seed": 3,
    }
    return Batches(**(fields | changed))


def test_targets_are_the_next_tokens() -> None:
    inputs, targets = batches().batch(7)
    assert inputs.shape == targets.shape == (4, 16)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])


def test_a_batch_can_be_had_without_those_before_it() -> None:
    in_order = [batches().batch(step)[0] for step in range(400)]
    assert np.array_equal(batches().batch(399)[0], in_order[399])


def test_an_epoch_sees_each_window_once() -> None:
    one = batches(windows_per_batch=1)
    starts = [one._start(index) for index in range(one.windows_per_epoch)]
    assert len(set(starts)) == one.windows_per_epoch
    assert len({start % 16 for start in starts}) == 1


def test_epochs_and_seeds_differ() -> None:
    one = batches(windows_per_batch=1)
    n = one.windows_per_epoch
    first = [one._start(index) for index in range(n)]
    second = [one._start(index) for index in range(n, 2 * n)]
    other = [batches(windows_per_batch=1, seed=4)._start(index) for index in range(n)]
    assert first != second
    assert first != other


def test_the_start_of_a_piece_is_not_scored() -> None:
    tokens = np.array([0, 5, 6, 1, 0, 7, 8, 1] * 40, dtype=np.uint16)
    _, targets = batches(tokens=tokens).batch(0)
    assert not (targets == 0).any()
    assert (targets == IGNORED).mean() == pytest.approx(1 / 4, abs=0.07)


def test_a_context_longer_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="context 9999 is longer than the training data"):
        batches(context=9999)
