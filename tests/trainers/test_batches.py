"""Batches: a function of seed and step, with nothing lost and nothing scored wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.batches import Batches

BOS = 0
"""As a target it is not scored."""

TOKENS = np.arange(1, 10_001, dtype=np.uint16) % 1000 + 1


def batches(**changed: object) -> Batches:
    fields: dict = {
        "tokens": TOKENS,
        "bos_id": BOS,
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
    assert (targets == BOS).mean() == pytest.approx(1 / 4, abs=0.07)


PIECES = st.lists(st.integers(1, 40), min_size=12, max_size=60).filter(lambda p: sum(p) > 100)


def stream(lengths: list[int]) -> np.ndarray:
    """Pieces of these lengths, each a 0 and then numbers that occur once."""
    tokens = np.arange(1, sum(lengths) + 1, dtype=np.uint16)
    tokens[np.cumsum([0, *lengths[:-1]])] = 0
    return tokens


@given(PIECES)
def test_restarting_scores_the_same_tokens_and_looks_back_into_no_other_piece(
    lengths: list[int],
) -> None:
    tokens = stream(lengths)
    carried = batches(tokens=tokens).batch(0)[1]
    inputs, targets = batches(tokens=tokens, restart=True).batch(0)
    assert sorted(targets[targets != BOS]) == sorted(carried[carried != BOS])
    assert not (inputs[:, 1:][targets[:, 1:] != BOS] == BOS).any()
    for row, goal in zip(inputs, targets):
        scored = int((goal != BOS).sum())
        assert (goal[:scored] != BOS).all()
        assert (row[1:scored] == goal[: scored - 1]).all()


@given(PIECES, st.booleans(), st.integers(1, 3), st.sampled_from([1, 16, 40, 1000]))
def test_workers_and_micro_batches_share_a_batch_exactly(
    lengths: list[int], restart: bool, workers: int, micro_tokens: int
) -> None:
    source = batches(tokens=stream(lengths), restart=restart)
    batch = source.batch(0)
    shared = [
        part for rank in range(workers) for part in source.share(batch, rank, workers, micro_tokens)
    ]
    found = [goals[goals != BOS] for _, goals in shared]
    assert sorted(np.concatenate(found)) == sorted(batch[1][batch[1] != BOS])
    assert all(goals.size <= max(micro_tokens, goals.shape[1]) for _, goals in shared)


def test_a_context_longer_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="context 9999 is longer than the training data"):
        batches(context=9999)
