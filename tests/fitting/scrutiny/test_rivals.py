"""Other forms: each comes back from its own curve, and is judged by what it has not seen."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.law.intervals import Interval
from fitting.law.power_law import Array, fit
from fitting.scrutiny.forms import FORMS, Form, fit_form
from fitting.scrutiny.rivals import Forms, Judged, Trial, judge_forms

BY_NAME = {form.name: form for form in FORMS}
SIZES = np.geomspace(3e3, 3e5, 8)
N = np.repeat(SIZES, 3)
ONE = np.ones(len(SIZES))


def noisy(curve: Array, noise: float = 0.003, seed: int = 0) -> Array:
    return curve * np.exp(noise * np.random.default_rng(seed).standard_normal(len(curve)))


TRUE = {
    "law": 6 * SIZES**-0.3 + 1.2,
    "power": 6 * SIZES**-0.1,
    "logarithm": 3 - 0.1 * np.log(SIZES),
    "two powers": 20 * SIZES**-0.5 + 2 * SIZES**-0.05,
    "saturating": 1 + 2 / (1 + (SIZES / 2e4) ** 0.8),
}


@pytest.mark.parametrize("name", TRUE)
def test_a_form_comes_back_from_its_own_curve(name: str) -> None:
    curve = fit_form(BY_NAME[name], SIZES, TRUE[name], ONE)
    assert curve.predict(SIZES) == pytest.approx(TRUE[name], rel=1e-4)


def test_a_broken_power_law_has_the_slopes_on_either_side_of_its_break() -> None:
    n = np.geomspace(1e2, 1e8, 13)
    loss = np.where(n < 1e5, (n / 1e5) ** -0.3, (n / 1e5) ** -0.1)
    curve = fit_form(BY_NAME["broken"], n, loss, np.ones(len(n)))
    ends = np.log(curve.predict([1e2, 2e2, 5e7, 1e8]))
    assert (ends[0] - ends[1]) / np.log(2) == pytest.approx(0.3, abs=0.01)
    assert (ends[2] - ends[3]) / np.log(2) == pytest.approx(0.1, abs=0.01)


@settings(max_examples=30)
@given(st.floats(0.05, 1.0), st.floats(0.0, 0.8), st.integers(0, 1000))
def test_the_law_is_the_one_that_is_quoted(alpha: float, fraction: float, seed: int) -> None:
    loss = noisy((1 - fraction) * (SIZES / 3e3) ** -alpha + fraction, 0.002, seed)
    found = fit_form(BY_NAME["law"], SIZES, loss, ONE)
    wanted = fit(SIZES, loss)
    assert found.predict(3e6)[0] == pytest.approx(float(wanted.predict(3e6)), rel=1e-3)


@settings(max_examples=30)
@given(
    st.sampled_from(FORMS),
    st.lists(st.floats(0.5, 5.0), min_size=8, max_size=8),
    st.floats(0.01, 100.0),
)
def test_no_form_rises_and_units_do_not_matter(
    form: Form, losses: list[float], unit: float
) -> None:
    loss = np.array(losses)
    predicted = fit_form(form, SIZES, loss, ONE).predict(SIZES)
    assert np.all(np.diff(predicted) <= 1e-9 * predicted[0])
    again = fit_form(form, SIZES * unit, loss, ONE).predict(SIZES * unit)
    assert again == pytest.approx(predicted, rel=1e-3)


@pytest.mark.parametrize("name", ["law", "power", "saturating"])
def test_the_spread_of_a_prediction_is_that_of_repeated_sweeps(name: str) -> None:
    """Over 200 sweeps of the smaller sizes, against what each says of the largest."""
    form, true, noise = BY_NAME[name], TRUE[name], 0.001
    errors, told = [], []
    for seed in range(200):
        curve = fit_form(form, SIZES[:-1], noisy(true[:-1], noise, seed), ONE[:-1])
        errors.append(np.log(curve.predict(SIZES[-1:])[0] / true[-1]))
        told.append(noise * np.sqrt(curve.variance(SIZES[:-1], ONE[:-1], SIZES[-1:])[0]))
    assert np.std(errors) == pytest.approx(np.median(told), rel=0.2)


def test_a_power_law_without_a_floor_is_caught_by_what_it_has_not_seen() -> None:
    forms = judge_forms(N, noisy(np.repeat(TRUE["law"], 3)))
    alive = {form.name for form in forms.survivors}
    assert "law" in alive
    assert not alive & {"power", "logarithm"}
    assert "none is shown to be better than the law" in forms.sentence()


def test_a_break_that_the_law_cannot_follow_is_said() -> None:
    n = np.repeat(np.geomspace(1e2, 1e8, 10), 3)
    loss = noisy(np.where(n < 1e5, (n / 1e5) ** -0.05, (n / 1e5) ** -0.3), 0.002)
    forms = judge_forms(n, loss)
    assert "law" not in {form.name for form in forms.survivors}
    assert forms.sentence().startswith(("The law misses", "No form predicts"))


def test_the_nearest_form_comes_first() -> None:
    misses = [form.miss for form in judge_forms(N, noisy(np.repeat(TRUE["law"], 3))).judged]
    assert misses == sorted(misses)


def test_the_range_holds_every_survivor_at_ten_times_the_largest_size() -> None:
    forms = judge_forms(N, noisy(np.repeat(TRUE["law"], 3)))
    assert forms.tenfold_range is not None
    assert forms.tenfold_allowed is not None
    for form in forms.survivors:
        assert form.tenfold in forms.tenfold_range
    assert forms.tenfold_range.low >= forms.tenfold_allowed.low
    assert forms.tenfold_range.high <= forms.tenfold_allowed.high
    assert 6 * (10 * N.max()) ** -0.3 + 1.2 in forms.tenfold_allowed


def test_a_form_is_tried_only_where_sizes_remain_to_judge_it() -> None:
    """Five sizes: four are left without the largest, three without the two largest."""
    n = np.repeat(SIZES[:5], 3)
    trials = {
        f.name: len(f.trials) for f in judge_forms(n, noisy(np.repeat(TRUE["law"][:5], 3))).judged
    }
    assert trials == {
        "law": 1,
        "power": 2,
        "logarithm": 2,
        "broken": 0,
        "two powers": 0,
        "saturating": 0,
    }


@pytest.mark.parametrize("sizes", [3, 4])
def test_too_few_sizes_are_said_to_be_too_few(sizes: int) -> None:
    forms = judge_forms(SIZES[:sizes], TRUE["law"][:sizes])
    assert forms.sentence() == "Too few sizes to test other forms of curve on the largest."


def test_losses_that_meet_the_law_exactly_are_within_its_noise() -> None:
    law = next(f for f in judge_forms(SIZES, TRUE["law"]).judged if f.name == "law")
    assert law.survives


def test_without_survivors_nothing_is_said_of_ten_times_the_size() -> None:
    trial = Trial(np.array([3e5]), np.array([0.1]), np.array([0.01]))
    forms = Forms(
        (Judged("law", 3, (trial,), 1.3, 0.01), Judged("power", 2, (trial,), 1.2, 0.01)), 0.002
    )
    assert forms.tenfold_range is None
    assert forms.tenfold_allowed is None
    assert forms.sentence() == "No form predicts the held-out sizes within the noise."


def test_one_survivor_alone_gives_the_range() -> None:
    trial = Trial(np.array([3e5]), np.array([0.001]), np.array([0.01]))
    assert Forms((Judged("law", 3, (trial,), 1.3, 0.01),), 0.002).tenfold_range == Interval(
        1.3, 1.3
    )


def test_eight_sizes_of_three_seeds_take_less_than_a_third_of_a_second() -> None:
    loss = noisy(np.repeat(TRUE["law"], 3))
    times = []
    for _ in range(3):
        start = time.process_time()
        judge_forms(N, loss)
        times.append(time.process_time() - start)
    assert min(times) < 0.3
