"""Other sizes and other counts of N: a true law is left alone, a law that begins later is told."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.law.intervals import alpha_interval
from fitting.law.power_law import Array, PowerLaw, fit
from fitting.scrutiny.sensitivity import counted_otherwise, drift_sentence, without_ends


def sizes(count: int, seeds: int = 3) -> Array:
    return np.repeat(np.geomspace(3e3, 3e5, count), seeds)


def law(n: Array, loss: Array, noise: float = 0.002) -> PowerLaw:
    return fit(n, loss * np.exp(noise * np.random.default_rng(1).standard_normal(len(n))))


def said(one: PowerLaw) -> str:
    return drift_sentence(one.alpha, alpha_interval(one), without_ends(one))


@pytest.mark.parametrize(("count", "each"), [(4, 0), (5, 1), (6, 2), (7, 3), (9, 3)])
def test_sizes_are_left_out_while_four_remain(count: int, each: int) -> None:
    n = sizes(count)
    found = without_ends(law(n, 6 * n**-0.3 + 1.2))
    assert [(one.end, one.left_out) for one in found] == [
        (end, k + 1) for end in ("smallest", "largest") for k in range(each)
    ]


@settings(max_examples=20)
@given(alpha=st.floats(0.1, 0.8), c=st.floats(0.2, 2.0))
def test_a_law_almost_without_noise_is_the_same_from_any_sizes(alpha: float, c: float) -> None:
    n = sizes(8, 1)
    exact = law(n, (n / 3e3) ** -alpha + c, noise=1e-6)
    for one in without_ends(exact):
        assert one.alpha == pytest.approx(alpha, rel=0.01)


def test_the_end_that_remains_is_recorded() -> None:
    n = sizes(8)
    found = without_ends(law(n, 6 * n**-0.3 + 1.2))
    kept = np.unique(n)
    assert [one.n_end for one in found] == [*kept[1:4], *kept[-2:-5:-1]]


def test_a_true_law_shows_no_drift() -> None:
    n = sizes(8)
    assert "the law may" not in said(law(n, 6 * n**-0.3 + 1.2))


def test_a_law_that_begins_later_is_told() -> None:
    """Below 2e4 the losses lie on another, steeper curve."""
    n = sizes(10)
    loss = 6 * n**-0.3 + 1.2 + 0.5 * np.maximum(0, np.log10(2e4 / n)) ** 2
    assert said(law(n, loss, 0.001)).endswith("the law may begin later.")


def test_a_law_that_ends_before_the_largest_size_is_told() -> None:
    n = sizes(10)
    loss = 6 * np.minimum(n, 6e4) ** -0.3 + 1.2
    assert said(law(n, loss, 0.001)).endswith("the law may end before the largest.")


def test_four_sizes_are_too_few() -> None:
    n = sizes(4)
    assert said(law(n, 6 * n**-0.3 + 1.2)) == "Too few sizes to leave any out."


def counted(n: Array, **parts: float | Array) -> pd.DataFrame:
    draws = np.random.default_rng(2).standard_normal(len(n))
    table = pd.DataFrame({"val_loss": (6 * n**-0.3 + 1.2) * np.exp(1e-5 * draws)})
    names = ("n_params_embedding", "n_params_non_embedding", "n_params_head")
    return table.assign(
        **{name: parts.get(name.removeprefix("n_params_"), np.nan) for name in names}
    )


def test_counts_with_a_constant_part_change_the_exponent() -> None:
    n = sizes(8, 1)
    found = counted_otherwise(counted(n, embedding=5e3, non_embedding=n - 1e3, head=1e3))
    assert [one.counted for one in found] == ["non-embedding + head", "non-embedding", "all"]
    alphas = [one.alpha for one in found]
    assert alphas[0] == pytest.approx(0.3, rel=0.01)
    assert alphas[1] < alphas[0] < alphas[2]
    assert found[0].noise < min(found[1].noise, found[2].noise)


def test_nothing_is_compared_where_the_parts_were_not_recorded() -> None:
    n = sizes(8, 1)
    assert counted_otherwise(counted(n)) == ()
    assert counted_otherwise(counted(n, non_embedding=n)) == ()


def test_a_model_whose_body_has_no_parameters_cannot_be_counted_without_its_head() -> None:
    n = sizes(8, 1)
    found = counted_otherwise(counted(n, embedding=5e3, non_embedding=0.0, head=n))
    assert [one.counted for one in found] == ["non-embedding + head", "all"]
