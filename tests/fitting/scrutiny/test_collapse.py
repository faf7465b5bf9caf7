"""Training curves on one axis: a true bundle is left alone, a size that trained otherwise named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.law.power_law import fit
from fitting.scrutiny.collapse import SPANS, Collapse, collapse, designed, normalised
from harness.training_curves import training_curves


def sweep(bad: int | None = None, sizes: int = 8, seeds: int = 3, seed: int = 0) -> pd.DataFrame:
    return training_curves(sizes, seeds, 0.003, 0.01, np.random.default_rng(seed), bad)


def found(runs: pd.DataFrame) -> Collapse:
    return collapse(runs, fit(runs["n_params"], runs["val_loss"]))


@settings(max_examples=30)
@given(scale=st.floats(0.01, 100), c=st.floats(0, 3), power=st.floats(0.1, 1))
def test_normalised_curves_of_one_course_are_one_whatever_their_scale_and_floor(
    scale: float, c: float, power: float
) -> None:
    part = np.arange(1, 101) / 100
    one = normalised(part, part**-power, 0.0, SPANS)
    other = normalised(part, scale * part**-power + c, c, SPANS)
    assert other == pytest.approx(one, rel=1e-6)
    assert one[-1] == 1
    assert np.all(np.diff(one) < 0)


def test_where_the_points_of_a_curve_lie_does_not_matter() -> None:
    """Each is the mean loss since the one before; trainers set them closer at first."""
    steps = np.arange(1, 1025)
    summed = np.concatenate([[0.0], np.cumsum(1 + steps**-0.3)])
    ends = (102, 308, 512, 716, 922, 1024)

    def of(points: np.ndarray) -> np.ndarray:
        loss = np.diff(summed[np.r_[0, points]]) / np.diff(np.r_[0, points])
        return normalised(points / 1024, loss, 1.0, np.array(ends) / 1024)

    close = [
        np.linspace(a, b, n + 1).astype(int)[1:] for a, b, n in zip(ends, ends[1:], range(2, 7))
    ]
    uneven = np.r_[102, np.concatenate(close), np.arange(103, 150)]
    assert of(np.unique(uneven)) == pytest.approx(of(steps), rel=1e-9)


def test_a_curve_that_comes_down_to_the_floor_has_no_normal_form() -> None:
    part = np.arange(1, 101) / 100
    assert np.isnan(normalised(part, 1 + 1 / part, 2.2, SPANS)).all()


def test_a_true_bundle_is_left_alone() -> None:
    named = sum(bool(found(sweep(seed=seed)).leaving) for seed in range(40))
    assert named <= 5


@pytest.mark.parametrize("bad", [1, 4, 7])
def test_a_size_at_too_high_a_rate_is_named(bad: int) -> None:
    hits = 0
    for seed in range(10):
        runs = sweep(bad, seed=seed)
        wanted = np.sort(runs["n_params"].unique())[bad]
        hits += any(one.n == pytest.approx(wanted) and one.ratio < 1 for one in found(runs).leaving)
    assert hits >= 8


def test_the_sentence_names_the_size_and_what_it_did() -> None:
    runs = sweep(4)
    said = found(runs).sentence()
    assert f"N = {np.sort(runs['n_params'].unique())[4]:,.0f} leaves the bundle" in said
    assert "ends higher than its course promised" in said


def test_sizes_differ_by_no_more_than_their_seeds_where_curves_collapse() -> None:
    bundle = found(sweep())
    assert len(bundle.curves) == 8
    assert bundle.beyond_c < 2 * bundle.noise
    assert bundle.sentence().endswith("No size leaves the bundle.")


def test_one_budget_for_all_sizes_promises_no_collapse_and_names_nobody() -> None:
    """The same curves, as if every size had seen the same tokens: one of them is bad."""
    runs = sweep(4)
    part = 3e6 / runs["tokens"]
    slower = [
        [(t * factor, loss) for t, loss in curve]
        for curve, factor in zip(runs["train_curve"], part)
    ]
    runs["train_curve"] = pd.Series(slower)
    bundle = found(runs.assign(tokens=3e6))
    assert bundle.design == "one budget"
    assert bundle.leaving == ()
    assert len(bundle.curves) == 8
    assert "no collapse is expected" in bundle.sentence()


def test_the_design_is_read_off_tokens_and_sizes() -> None:
    n = np.geomspace(1e4, 1e6, 5)
    assert designed(n, 20 * n) == "one ratio"
    assert designed(n, 22 * n**0.99) == "one ratio"
    assert designed(n, np.full(5, 3e6)) == "one budget"
    assert designed(n, 20 * n**0.5) == "other"
    assert designed(n, [1e6, np.nan, 1e6, 1e6, 1e6]) == "unknown"
    assert designed([], []) == "unknown"


def test_what_cannot_be_read_is_left_out() -> None:
    """No curve, a curve of NaN, one that stops half way, one below c."""
    runs = sweep(sizes=8, seeds=1)
    whole = runs["train_curve"].tolist()
    broken = [
        None,
        [(t, np.nan) for t, _ in whole[1]],
        whole[2][:50],
        [(t, 0.1) for t, _ in whole[3]],
    ]
    bundle = found(runs.assign(train_curve=pd.Series(broken + whole[4:])))
    assert [curve.n for curve in bundle.curves] == pytest.approx(runs["n_params"].tolist()[4:])
    assert "It takes 5 sizes" in bundle.sentence()


def test_single_points_that_are_missing_do_no_harm() -> None:
    runs = sweep()
    holes = [
        [(t, np.nan if k % 7 == 0 else loss) for k, (t, loss) in enumerate(curve)]
        for curve in runs["train_curve"]
    ]
    assert len(found(runs.assign(train_curve=pd.Series(holes))).curves) == 8


def test_without_curves_there_is_nothing_to_compare() -> None:
    bundle = found(sweep().assign(train_curve=None))
    assert bundle.curves == ()
    assert bundle.sentence().startswith("Too few training curves")


def test_one_seed_tells_no_noise_of_seeds() -> None:
    bundle = found(sweep(seeds=1))
    assert np.isnan(bundle.noise)
    assert "seeds" not in bundle.sentence()


def test_a_law_without_a_floor_is_normalised_by_its_loss() -> None:
    runs = sweep()
    lower = [[(t, loss - 1.2) for t, loss in curve] for curve in runs["train_curve"]]
    runs["train_curve"] = pd.Series(lower)
    law = fit(runs["n_params"], 8 * runs["n_params"] ** -0.3)
    assert law.c == pytest.approx(0, abs=1e-3)
    assert len(collapse(runs, law).curves) == 8
