"""Splits by the hash of the group: no version of a held-out work is trained on.

Validation takes the groups of least hash, test those of greatest, up to a threshold each. Adding
pieces moves a group only if it moves a threshold across it.
"""

from __future__ import annotations

import hashlib

SHARE = 0.01
"""Of the tokens, that validation and test each hold at least."""
FLOOR_PIECES = 50
FLOOR_TOKENS = 100_000
FLOOR_SHARE = 0.1
"""Of a small corpus: the floors above ask for no more than this."""


def position(group_id: str) -> float:
    """Where a group stands between 0 and 1."""
    digest = hashlib.sha256(group_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_groups(groups: dict[str, tuple[int, int]]) -> tuple[dict[str, str], dict[str, float]]:
    """groups: group_id -> (pieces, tokens). Returns the split of each group and the thresholds."""
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
    # At least one group is left to train on, however few there are.
    for group_id in ordered[: max(0, (len(ordered) - 1) // 2)]:
        if pieces <= 0 and tokens <= 0:
            break
        taken.append(group_id)
        pieces -= groups[group_id][0]
        tokens -= groups[group_id][1]
    return taken
