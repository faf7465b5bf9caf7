"""Points lie where every budget has them, and tell a lost cell from noise."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.cell import Cell
from trainers.curve import ENOUGH_TOKENS, DivergedError, Point, averaged, check, is_point


def test_early_steps_are_points_and_every_later_doubling_has_thirty_two() -> None:
    assert all(is_point(step) for step in range(1, 65))
    for doubling in (64, 128, 1024, 2**20):
        points = [step for step in range(doubling, 2 * doubling) if is_point(step)]
        assert points == list(range(doubling, 2 * doubling, doubling // 32))


def curve(*losses: float, apart: int = ENOUGH_TOKENS) -> list[Point]:
    return [{"tokens": (i + 1) * apart, "train_loss": loss} for i, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ([3.4, 2.0, math.nan], "the loss became nan after 49,152 tokens at lr 0.008"),
        ([3.4, 2.0, 3.5], "worse than guessing"),
        ([3.4, 1.4, 2.6], "the loss rose from 1.40 to 2.60 after 49,152 tokens"),
    ],
)
def test_what_ends_a_cell(cell: Cell, losses: list[float], reason: str) -> None:
    *before, last = curve(*losses)
    with pytest.raises(DivergedError, match=reason):
        check(last, before, cell, past_warmup=True)


@pytest.mark.parametrize("losses", [[3.46], [3.9], [3.4, 1.4, 2.2], [3.4, 3.2, 3.45]])
def test_noise_does_not_end_a_cell(cell: Cell, losses: list[float]) -> None:
    *before, last = curve(*losses)
    check(last, before, cell, past_warmup=True)


def test_single_batches_that_differ_do_not_end_a_cell_and_many_that_are_bad_do(cell: Cell) -> None:
    """Early points are of one batch each: of an LSTM of 4k, the eighth of the folk corpus."""
    batches = [3.3, 3.1, 2.5, 3.0, 2.6, 2.9, 2.4, 3.4] * 5
    *before, last = curve(*batches, apart=1024)
    check(last, before, cell, past_warmup=True)
    *before, last = curve(*batches, *[3.9] * 16, apart=1024)
    with pytest.raises(DivergedError, match="worse than guessing"):
        check(last, before, cell, past_warmup=True)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60), st.integers(1, 3 * ENOUGH_TOKENS))
def test_a_mean_is_over_the_last_points_and_over_enough_of_them(
    losses: list[float], apart: int
) -> None:
    mean, enough = averaged(curve(*losses, apart=apart))[-1]
    count = min(len(losses), -(-ENOUGH_TOKENS // apart))
    assert mean == pytest.approx(sum(losses[-count:]) / count, abs=1e-6)
    assert enough == (len(losses) * apart >= ENOUGH_TOKENS)


def test_one_absurd_batch_does_not_spoil_the_means_that_follow() -> None:
    later = averaged(curve(1e30, *[2.0] * 40, apart=1024))[-1]
    assert later == (pytest.approx(2.0), True)
