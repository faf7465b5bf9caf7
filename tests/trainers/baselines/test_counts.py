"""Baselines by counting: what they foretell is a distribution, and the one of their formula."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_origin import split
from trainers.baselines.counts import by_piece, by_training, mixed

VOCAB = 4
Piece = list[int]
pieces = st.lists(st.integers(0, VOCAB - 1), min_size=2, max_size=24)
many = st.lists(pieces, min_size=1, max_size=5)


def of_formula(
    before: Piece, token: int, followed: dict[tuple, Counter], longest: int | None
) -> float:
    """The probability of `token`, by the formula, one context at a time.

    followed: what followed each context, (token, ...), and how often.
    """
    found = 1 / VOCAB
    for length in range(min(len(before), len(before) if longest is None else longest) + 1):
        counts = followed.get(tuple(before[len(before) - length :]), Counter())
        if not counts:
            break
        found = (counts[token] + len(counts) * found) / (counts.total() + len(counts))
        if longest is None and len(counts) == 1:
            break
    return found


def contexts(training: list[Piece]) -> dict[tuple, Counter]:
    followed: dict[tuple, Counter] = {}
    for piece in training:
        for at in range(1, len(piece)):
            for length in range(at + 1):
                followed.setdefault(tuple(piece[at - length : at]), Counter())[piece[at]] += 1
    return followed


@pytest.mark.parametrize("longest", [None, 0, 2])
@given(held_out=many, training=many)
def test_what_training_foretells_is_that_of_the_formula(
    longest: int | None, held_out: list[Piece], training: list[Piece]
) -> None:
    found = by_training(split(*held_out), split(*training), VOCAB, longest)
    followed = contexts(training)
    expected = [
        of_formula(piece[:at], token, followed, longest) if at else 1.0
        for piece in held_out
        for at, token in enumerate(piece)
    ]
    assert found == pytest.approx(expected)


@given(held_out=many)
def test_what_a_piece_foretells_is_that_of_the_formula(held_out: list[Piece]) -> None:
    expected = [
        of_formula(piece[:at], token, contexts([piece[:at]]), None) if at else 1.0
        for piece in held_out
        for at, token in enumerate(piece)
    ]
    assert by_piece(split(*held_out), VOCAB) == pytest.approx(expected)


@given(begun=pieces, training=many)
def test_probabilities_of_all_next_tokens_sum_to_one(begun: Piece, training: list[Piece]) -> None:
    """Pieces that begin alike and end with each token that there is."""
    ways = split(*([*begun, token] for token in range(VOCAB)))
    ends = ways.starts[1:] - 1
    trained = split(*training)
    ngram, ppm = by_training(ways, trained, VOCAB, 3), by_training(ways, trained, VOCAB)
    own = by_piece(ways, VOCAB)
    for found in (ngram, ppm, own, mixed(ppm, own, ways), mixed(ngram, own, ways)):
        assert found[ends].sum() == pytest.approx(1, rel=1e-12)
        assert (found > 0).all()


def test_a_passage_that_returns_is_foretold_by_the_piece_and_not_by_training() -> None:
    theme = np.random.default_rng(0).integers(2, 30, size=40).tolist()
    piece = split([0, *theme, *theme, 1])
    training = split([0, *reversed(theme), 1])
    own, trained = by_piece(piece, 31), by_training(piece, training, 31)
    returns = slice(45, 81)
    # What was seen once is believed with a half, and half of what is left for each shorter context.
    assert own[returns].min() > 0.5
    assert np.median(trained[returns]) < 0.1
    # Mixed, it loses the tenth that the other is given.
    both = mixed(own, trained, piece)
    assert (both[60:81] > 0.9 * own[60:81]).all()


def test_one_that_fails_is_left_for_the_other() -> None:
    first, second = np.full(60, 0.5), np.full(60, 0.01)
    one_piece = split([2] * 60)
    found = mixed(first, second, one_piece)
    assert found[1] == pytest.approx(0.255)
    assert found[-1] > 0.47
    # And is taken up again as soon as it does better.
    second[30:], first[30:] = 0.5, 0.01
    assert mixed(first, second, one_piece)[36] > 0.4
