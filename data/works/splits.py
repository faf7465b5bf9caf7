"""Splits by the hash of the group, so that no version of a held-out work is trained on.

Validation takes the groups with the smallest hashes and test those with the largest, each up to a
threshold. Groups that are added later go by the same thresholds (`split_by`). If all are prepared
anew, a group changes its split only if a threshold moves across it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

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


def split_groups(
    group_ids: Iterable, pieces: np.ndarray, tokens: np.ndarray
) -> tuple[np.ndarray, dict[str, float]]:
    """The split of each group, (groups,) of text, and the thresholds.

    group_ids: text, or what `str` makes text of. pieces, tokens: (groups,) integers.
    """
    places = _positions(group_ids)
    need_pieces = min(FLOOR_PIECES, FLOOR_SHARE * pieces.sum())
    need_tokens = max(SHARE * tokens.sum(), min(FLOOR_TOKENS, FLOOR_SHARE * tokens.sum()))
    order = np.argsort(places, kind="stable")

    def take(ordered: np.ndarray) -> np.ndarray:
        # However few groups there are, at least one is left for training.
        ordered = ordered[: max(0, (len(ordered) - 1) // 2)]
        enough = np.cumsum(pieces[ordered]) >= need_pieces
        enough &= np.cumsum(tokens[ordered]) >= need_tokens
        # Those until there is enough, and the one with which there is.
        return ordered[: len(ordered) - np.count_nonzero(enough[:-1])]

    val, test = take(order), take(order[::-1])
    splits = np.full(len(pieces), "train")
    splits[val], splits[test] = "val", "test"
    thresholds = {
        "val_to": float(places[val].max(initial=0.0)),
        "test_from": float(places[test].min(initial=1.0)),
    }
    return splits, thresholds


def split_by(group_ids: Iterable, thresholds: Mapping[str, float]) -> np.ndarray:
    """The split of each group, (groups,) of text, by thresholds that `split_groups` found."""
    places = _positions(group_ids)
    splits = np.full(len(places), "train")
    splits[places <= thresholds["val_to"]] = "val"
    splits[places >= thresholds["test_from"]] = "test"
    return splits


def _positions(group_ids: Iterable) -> np.ndarray:
    return np.fromiter((position(str(group_id)) for group_id in group_ids), float)
