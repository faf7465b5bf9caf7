"""The difference of two models on the same pieces: known far better than either loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fitting.compare.pieces import Paired, compare_pieces, ratio_error
from trainers.evaluate import summarise
from trainers.losses import Losses

PIECES = st.integers(2, 40)
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def drawn(rng: np.random.Generator, works: int = 80, versions: int = 2) -> Drawn:
    """Pieces of very different difficulty, on which the second model is .05 nats a token worse."""
    group = np.repeat(np.arange(works), versions)
    tokens = rng.integers(50, 400, size=len(group)).astype(float)
    level = rng.normal(1.5, 0.3, size=works)[group]
    apart = 0.05 + rng.normal(0, 0.05, size=works)[group]
    return level * tokens, (level + apart) * tokens, tokens, group


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [compare_pieces(*drawn(rng)) for _ in range(1000)]
    assert np.mean([0.05 in each.interval for each in found]) == pytest.approx(0.95, abs=0.02)
    assert np.mean([each.error for each in found]) == pytest.approx(
        np.std([each.difference for each in found]), rel=0.1
    )
    assert min(each.gain for each in found) > 4


def test_pieces_taken_for_works_would_cover_too_seldom() -> None:
    rng = np.random.default_rng(0)
    draws = [drawn(rng, versions=4) for _ in range(300)]
    found = [compare_pieces(one, two, n, np.arange(320)) for one, two, n, _ in draws]
    assert np.mean([0.05 in each.interval for each in found]) < 0.8


def test_models_without_anything_in_common_gain_nothing() -> None:
    rng = np.random.default_rng(0)
    first, _, tokens, works = drawn(rng, works=4000, versions=1)
    _, other, other_tokens, _ = drawn(rng, works=4000, versions=1)
    found = compare_pieces(first, other / other_tokens * tokens, tokens, works)
    assert found.gain == pytest.approx(1, rel=0.05)


@given(PIECES.flatmap(lambda n: arrays(float, (2, n), elements=st.floats(0.1, 9))), st.data())
def test_the_second_less_the_first_is_less_the_first_less_the_second(
    level: np.ndarray, data: st.DataObject
) -> None:
    n = level.shape[1]
    works = data.draw(arrays(int, n, elements=st.integers(0, 5)))
    there, back = (compare_pieces(one, two, np.ones(n), works) for one, two in (level, level[::-1]))
    assert there.difference == pytest.approx(-back.difference, abs=1e-12)
    assert there.error == pytest.approx(back.error, nan_ok=True)
    assert there.unpaired_error == pytest.approx(back.unpaired_error, nan_ok=True)


@given(PIECES.flatmap(lambda n: arrays(float, n, elements=st.floats(0.1, 9))), st.data())
def test_the_error_of_one_loss_is_the_one_that_cells_record(
    level: np.ndarray, data: st.DataObject
) -> None:
    n = len(level)
    works = data.draw(arrays(int, n, elements=st.integers(0, 5)))
    found = np.unique(works, return_inverse=True)[1]
    if found.max() > 0:
        recorded = summarise(Losses(level, np.ones(n), np.ones(n), np.ones(n), works))
        assert ratio_error(level, np.ones(n), found) == pytest.approx(recorded["loss_se"])


def test_a_single_work_has_no_error() -> None:
    found = compare_pieces([1, 2], [2, 2], [1, 1], [7, 7])
    assert found.difference == 0.5
    assert np.isnan(found.error)
    assert np.isnan(found.unpaired_error)
    assert "neither a nor b is ahead" in found.sentence("a", "b")


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found arrays of \(2,\), \(1,\), .*; expected a number"):
        compare_pieces([1, 2], [2], [1, 1], [7, 7])


def paired(difference: float) -> Paired:
    first = np.tile([1.0, 2.0, 3.0, 4.0], 10)
    nudge = np.tile([0.01, -0.01, 0.0, 0.0], 10)
    return compare_pieces(first, first + difference + nudge, np.ones(40), np.arange(40))


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (0.5, "a is ahead of b by 0.500 [0.498, 0.502]; unpaired [-0.012, 1.012]"),
        (-0.5, "b is ahead of a by 0.500 [0.498, 0.502]; unpaired [-0.012, 1.012]"),
        (
            0.0,
            "neither a nor b is ahead, b less a is 0.000 [-0.002, 0.002]; unpaired [-0.512, 0.512]",
        ),
    ],
)
def test_it_is_said_who_is_ahead(difference: float, said: str) -> None:
    sentence = paired(difference).sentence("a", "b")
    assert sentence.startswith("paired on 40 pieces of 40 works: ")
    assert said in sentence
