"""Splits: by group, with floors, and stable when pieces are added."""

from __future__ import annotations

from data.works.splits import FLOOR_PIECES, FLOOR_TOKENS, split_groups


def corpus(groups: int, tokens: int = 200, start: int = 0) -> dict[str, tuple[int, int]]:
    return {f"group-{index}": (1, tokens) for index in range(start, start + groups)}


def held(groups: dict[str, tuple[int, int]], name: str) -> tuple[int, int]:
    splits, _ = split_groups(groups)
    chosen = [groups[group] for group, split in splits.items() if split == name]
    return sum(pieces for pieces, _ in chosen), sum(tokens for _, tokens in chosen)


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
    splits, _ = split_groups(corpus(2))
    assert "train" in splits.values()


def test_adding_pieces_moves_hardly_any() -> None:
    before, _ = split_groups(corpus(10_000))
    after, _ = split_groups(corpus(10_100))
    moved = [group for group in before if before[group] != after[group]]
    # The floor is met by fewer old groups now that new ones stand among them.
    assert len(moved) <= 20
    assert all(after[group] == "train" for group in moved)
