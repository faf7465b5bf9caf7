"""Splits: by group, with floors, and stable when pieces are added."""

from __future__ import annotations

import numpy as np

from data.works.splits import (
    FLOOR_PIECES,
    FLOOR_SHARE,
    FLOOR_TOKENS,
    position,
    split_by,
    split_groups,
)


def corpus(groups: int, tokens: int = 200) -> tuple[list[str], np.ndarray, np.ndarray]:
    names = [f"group-{index}" for index in range(groups)]
    return names, np.ones(groups, int), np.full(groups, tokens)


def held(groups: tuple[list[str], np.ndarray, np.ndarray], name: str) -> tuple[int, int]:
    chosen = split_groups(*groups)[0] == name
    return int(groups[1][chosen].sum()), int(groups[2][chosen].sum())


def test_a_large_corpus_holds_out_one_percent() -> None:
    groups = corpus(100_000)
    for name in ("val", "test"):
        assert 0.01 <= held(groups, name)[1] / 20_000_000 < 0.011


def test_a_middling_corpus_holds_out_the_floor() -> None:
    groups = corpus(10_000)
    for name in ("val", "test"):
        pieces, tokens = held(groups, name)
        assert FLOOR_TOKENS <= tokens < FLOOR_TOKENS + 200
        assert pieces >= FLOOR_PIECES


def test_a_small_corpus_holds_out_a_tenth() -> None:
    for name in ("val", "test"):
        assert held(corpus(100), name) == (10, 2000)


def test_two_groups_still_leave_one_to_train_on() -> None:
    assert "train" in split_groups(*corpus(2))[0]


def test_adding_pieces_moves_hardly_any() -> None:
    before, _ = split_groups(*corpus(10_000))
    after, _ = split_groups(*corpus(10_100))
    moved = np.flatnonzero(before != after[:10_000])
    # The floor is met by fewer old groups now that new ones stand among them.
    assert len(moved) <= 20
    assert (after[moved] == "train").all()


def test_a_split_ends_with_the_group_that_fills_it_and_at_its_threshold() -> None:
    names, pieces, tokens = corpus(1000)
    tokens = tokens + np.arange(1000)
    splits, thresholds = split_groups(names, pieces, tokens)
    places = np.array([position(name) for name in names])
    assert ((places <= thresholds["val_to"]) == (splits == "val")).all()
    assert ((places >= thresholds["test_from"]) == (splits == "test")).all()
    for name, last in (("val", thresholds["val_to"]), ("test", thresholds["test_from"])):
        chosen = splits == name
        enough = FLOOR_SHARE * tokens.sum()
        assert tokens[chosen].sum() >= enough > tokens[chosen & (places != last)].sum()


def test_what_is_added_goes_by_the_thresholds_that_there_are() -> None:
    names, pieces, tokens = corpus(1000)
    splits, thresholds = split_groups(names, pieces, tokens)
    assert split_by(names, thresholds).tolist() == splits.tolist()
    more = [f"added-{index}" for index in range(10_000)]
    shares = {name: (split_by(more, thresholds) == name).mean() for name in ("val", "test")}
    assert all(FLOOR_SHARE / 2 < share < 2 * FLOOR_SHARE for share in shares.values())
