"""Splits by the hash of the group, so that no version of a held-out work is trained on.

Validation takes the groups with the smallest hashes and test those with the largest, each up to a
threshold. When pieces are added, a group changes its split only if a threshold moves across it.
"""

from __future__ import annotations

import hashlib

SHARE = 0.01
"""The least share of all tokens in validation, and in test."""
FLOOR_PIECES = 50
FLOOR_TOKENS = 100_000
FLOOR_SHARE = 0.1
"""The floors above ask for no more than this share, which matters for a small corpus."""


def position(group_id: str) -> float:
    """The place of a group between 0 and 1."""
    digest = hashlib.sha256(group_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_groups(groups: dict[str, tuple[int, int]]) -> tuple[dict[str, str], dict[str, float]]:
    """The split of each group, and the thresholds.

    groups: (pieces, tokens) by group_id.
    """
    pieces = sum(count for count, _ in groups.values())
    tokens = sum(count for _, count in groups.values())
    need_pieces = min(FLOOR_PIECES, FLOOR_SHARE * pieces)
    need_tokens = max(SHARE * tokens, min(FLOOR_TOKENS, FLOOR_SHARE * tokens))
    by_position = sorted(groups, key=position)
    val = _take(by_position, groups, need_pieces, need_tokens)
    test = _take(by_position[::-1], groups, need_pieces, need_tokens)
    splits = (
        dict.fromkeys(groups, "train") | dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    )
    thresholds = {
        "val_to": max(map(position, val), default=0.0),
        "test_from": min(map(position, test), default=1.0),
    }
    return splits, thresholds


def _take(
    ordered: list[str], groups: dict[str, tuple[int, int]], pieces: float, tokens: float
) -> list[str]:
    taken: list[str] = []
    # However few groups there are, at least one is left for training.
    for group_id in ordered[: max(0, (len(ordered) - 1) // 2)]:
        if pieces <= 0 and tokens <= 0:
            break
        taken.append(group_id)
        pieces -= groups[group_id][0]
        tokens -= groups[group_id][1]
    return taken
