"""Each token of a piece is a repeat, a broken repeat, shared with training, or new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import origin
from data.origin import ORIGINS, kept_origins, origins
from data.store.flat import Split, open_split

BOS, EOS = 0, 1


def split(*pieces: list[int]) -> Split:
    starts, ones = np.cumsum([0, *map(len, pieces)]), np.ones(len(pieces))
    tokens = np.concatenate(pieces).astype(np.uint16)
    return Split(tokens, starts, ones, ones, np.arange(len(pieces)))


def classes(piece: list[int], *training: list[int], context: int) -> list[str]:
    return [ORIGINS[each] for each in origins(split(piece), split(*training), context)]


def test_the_classes_of_a_tune_that_can_be_told_by_hand() -> None:
    """AABA, then a phrase of the training split, the same phrase in another key, and noise; each
    token by the two before it."""
    a, b, phrase = [2, 3, 4, 5], [6, 7, 8, 9], [10, 11, 12, 13]
    transposed = [token + 5 for token in phrase]
    tune = [BOS, *a, *a, *b, *a, *phrase, *transposed, 3, 9, EOS]
    found = classes(tune, [BOS, 2, 20, *phrase, 21, EOS], context=2)
    repeat, broken, shared, new = ORIGINS
    # The piece in training begins alike. Of a phrase that returns, what its first two tokens
    # lead to is recognised.
    assert found[1:5] == [shared, new, new, new]
    assert found[5:9] == [new, new, repeat, repeat]
    # After A came A, and now comes B; after A came B, and now comes the phrase.
    assert found[9:13] == [broken, new, new, new]
    assert found[13:17] == [new, new, repeat, repeat]
    assert found[17:21] == [broken, new, shared, shared]
    assert found[21:] == [new] * 7


def test_the_last_time_decides_what_is_repeated() -> None:
    tune = [BOS, 2, 3, 4, 2, 3, 5, 2, 3, 4]
    assert classes(tune, [BOS, EOS], context=2)[-1] == "broken"
    assert classes([*tune, 2, 3, 4], [BOS, EOS], context=2)[-1] == "repeat"


def test_what_stood_in_another_piece_of_the_split_is_no_repeat() -> None:
    pieces = split([BOS, 2, 3, 4], [BOS, 2, 3, 4])
    found = origins(pieces, split([BOS, EOS]), context=2)
    assert [ORIGINS[each] for each in found] == ["shared", "new", "new", "new"] * 2


def by_rule(piece: list[int], training: list[list[int]], context: int) -> Iterator[str]:
    """The rule, word by word."""

    def before(tokens: list[int], at: int) -> list[int]:
        return [-1] * max(context - at, 0) + tokens[max(at - context, 0) : at]

    known = [[*before(each, at), token] for each in training for at, token in enumerate(each)]
    for at, token in enumerate(piece):
        stood = [place for place in range(at) if before(piece, place) == before(piece, at)]
        if stood:
            yield "repeat" if piece[stood[-1]] == token else "broken"
        else:
            yield "shared" if [*before(piece, at), token] in known else "new"


pieces = st.lists(st.integers(0, 3), min_size=1, max_size=30)


@pytest.mark.parametrize("multiplier", [None, 1])
@given(st.lists(pieces, min_size=1, max_size=4), st.lists(pieces, min_size=1, max_size=4))
def test_the_classes_are_those_of_the_rule(
    multiplier: int | None, held_out: list[list[int]], training: list[list[int]]
) -> None:
    """Also where hashes collide: with this multiplier, windows of the same tokens in any order."""
    with pytest.MonkeyPatch.context() as patch:
        if multiplier:
            rest = origin._multipliers()
            patch.setattr(origin, "_multipliers", lambda: iter([np.uint64(1), *[next(rest)] * 3]))
        patch.setattr(origin, "BLOCK_TOKENS", 16)
        split_of_all = split(*held_out)
        found = origins(split_of_all, split(*training), 3)
    for (start, stop), piece in zip(pairwise(split_of_all.starts.tolist()), held_out):
        assert [ORIGINS[each] for each in found[start:stop]] == list(by_rule(piece, training, 3))


def test_classes_are_worked_out_once_and_kept(
    summed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = kept_origins(summed, "val")
    assert (
        found.tolist() == origins(open_split(summed, "val"), open_split(summed, "train")).tolist()
    )
    monkeypatch.setattr(origin, "origins", None)
    assert kept_origins(summed, "val").tolist() == found.tolist()


@pytest.mark.parametrize("damage", [lambda found: found[1:], lambda found: found + 4])
def test_what_cannot_be_the_classes_is_worked_out_again(
    summed: Path, damage: Callable[[np.ndarray], np.ndarray]
) -> None:
    found = kept_origins(summed, "test")
    (kept,) = summed.glob("origin-test-*.npy")
    np.save(kept, damage(found))
    assert kept_origins(summed, "test").tolist() == found.tolist()
    kept.write_bytes(b"half")
    assert kept_origins(summed, "test").tolist() == found.tolist()
