"""L(N, D) whole: known surfaces come back, designs that cannot tell are refused, and why."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.surface.law import SurfaceLaw, surface_law

N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e6, 1e8, 5), np.geomspace(1e8, 1e10, 4)))


def truth(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return 1.5 + (n / 1e7) ** -0.3 + (d / 1e9) ** -0.4


def table(n: np.ndarray, d: np.ndarray, noise: float = 0.003, seed: int = 0) -> pd.DataFrame:
    error = noise * np.random.default_rng(seed).standard_normal(len(n))
    loss = truth(n, d) * np.exp(error)
    return pd.DataFrame({"n_params": n, "tokens": d, "flops": 6 * n * d, "val_loss": loss})


def law_of(runs: pd.DataFrame) -> SurfaceLaw:
    law = surface_law(runs)
    assert law is not None
    return law


def isoflop(noise: float = 0.002) -> pd.DataFrame:
    flops, step = (
        v.ravel() for v in np.meshgrid(np.geomspace(1e15, 1e18, 5), np.geomspace(0.2, 5, 7))
    )
    n = 1e7 * (flops / 1e17) ** 0.55 * step
    return table(n, flops / 6 / n, noise)


def test_a_clean_grid_is_supported_and_its_numbers_lie_in_their_intervals() -> None:
    law = law_of(table(N, D))
    assert (law.word, law.reasons) == ("supported", ())
    assert 0.3 in law.alpha
    assert 0.4 in law.beta
    assert 1.5 in law.E
    assert 1e7**0.3 in law.A
    assert 1e9**0.4 in law.B
    assert 0.4 / 0.7 in law.optimal_exponent


def test_the_headline_is_the_law() -> None:
    loss = 1.69 + 406.4 * N**-0.34 + 410.7 * D**-0.28
    law = law_of(table(N, D).assign(val_loss=loss))
    assert law.headline() == "L(N, D) = 1.69 + 406 N^-0.34 + 411 D^-0.28"
    assert law.word == "supported"


@pytest.mark.parametrize("digits", [4, 8, 12])
def test_losses_written_to_some_digits_are_no_trouble(digits: int) -> None:
    law = law_of(table(N, D).assign(val_loss=truth(N, D).round(digits)))
    assert law.word == "supported"
    assert law.surface.alpha == pytest.approx(0.3, rel=1e-2)


@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_tokens_that_follow_the_size_give_no_exponents_but_the_reason(jitter: float) -> None:
    n = np.geomspace(1e6, 1e8, 20)
    for seed in range(5):
        d = 20 * n * np.exp(jitter * np.random.default_rng(seed).standard_normal(20))
        law = law_of(table(n, d, seed=seed))
        assert not law.identified
        assert law.word == "not supported"
        assert law.headline() == "no L(N, D)"
        assert "tokens follow the size" in law.reasons[0]
        assert law.optima == ()
        assert law.influence is None


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (np.full(20, 2.0), "too much to show that they fall with"),
        (1 + (N / 1e7) ** -0.3, "too much to show that they fall with D"),
        (1 + (D / 1e9) ** -0.3, "too much to show that they fall with N"),
    ],
)
def test_losses_that_do_not_fall_are_said_to(loss: np.ndarray, reason: str) -> None:
    rng = np.random.default_rng(0)
    law = law_of(table(N, D).assign(val_loss=loss * np.exp(0.005 * rng.standard_normal(20))))
    assert law.word == "not supported"
    assert reason in law.reasons[0]


def test_too_few_runs_give_no_law() -> None:
    assert surface_law(table(N, D).head(7)) is None
    assert surface_law(table(N, np.full_like(D, 1e9))) is None
    seeds = pd.concat([table(N, D, seed=k).iloc[[0, 1, 6, 7, 12]] for k in range(4)])
    assert surface_law(seeds) is None


def test_runs_without_tokens_are_left_aside() -> None:
    runs = table(N, D)
    more = pd.concat([runs, runs.head(3).assign(tokens=np.nan, val_loss=9.0)])
    assert law_of(more).surface.alpha == law_of(runs).surface.alpha


def test_a_run_that_diverged_is_named() -> None:
    runs = table(N, D)
    runs["val_loss"] *= np.where(runs.index == 7, 1.2, 1)
    law = law_of(runs)
    assert law.word == "not supported"
    wanted = f"one run is an outlier: at N = {N[7]:.3g}, D = {D[7]:.3g}"
    assert any(reason.startswith(wanted) for reason in law.reasons)
    assert law.influence is not None
    assert law.influence.apart == (law.influence.n == N[7] and law.influence.d == D[7])


def test_leaving_a_run_out_is_fitting_the_others() -> None:
    runs = table(N, D)
    law = law_of(runs)
    for k in (0, 11, 19):
        rest = law_of(runs.drop(index=k)).surface
        assert law.alpha_without[k] == pytest.approx(rest.alpha, rel=1e-3)
        assert law.beta_without[k] == pytest.approx(rest.beta, rel=1e-3)


def test_seeds_that_share_an_error_do_not_narrow_the_intervals() -> None:
    once = table(N, D, noise=0.005)
    again = pd.concat([once, once, once, once])
    widths = [law_of(runs).alpha.high - law_of(runs).alpha.low for runs in (once, again)]
    assert widths[1] == pytest.approx(widths[0], rel=0.02)


@settings(max_examples=10)
@given(factor=st.floats(0.1, 10))
def test_a_unit_of_loss_changes_no_exponent(factor: float) -> None:
    runs = table(N, D)
    one, other = law_of(runs), law_of(runs.assign(val_loss=factor * runs["val_loss"]))
    assert other.surface.alpha == pytest.approx(one.surface.alpha, rel=1e-5)
    assert other.alpha.high == pytest.approx(one.alpha.high, rel=1e-3)
    assert other.E.low == pytest.approx(factor * one.E.low, rel=1e-3)


def test_compute_that_is_not_6_n_d_scales_the_optimum_and_is_said() -> None:
    runs = table(N, D)
    six, eight = law_of(runs), law_of(runs.assign(flops=8 * N * D))
    assert six.notes == ()
    assert eight.per_token == pytest.approx(8)
    assert "8 N D on average" in eight.notes[0]
    best, other = six.optima[-1], eight.optima[-1]
    assert other.flops / 8 / other.n == pytest.approx(other.d)
    assert float(six.surface.optimal_n(best.flops * 6 / 8)) == pytest.approx(
        float(eight.surface.optimal_n(best.flops, per_token=8.0))
    )


def test_compute_that_is_unknown_is_6_n_d() -> None:
    law = law_of(table(N, D).assign(flops=np.nan))
    assert law.flops == pytest.approx(6 * N * D)
    assert law.notes == ("Compute was not recorded for every run; C = 6 N D is used.",)


def test_optima_are_told_at_round_computes_within_and_beyond() -> None:
    law = law_of(isoflop())
    assert [best.flops for best in law.optima] == [1e15, 1e16, 1e17, 1e18, 1e19, 1e20]
    assert [best.beyond for best in law.optima] == [False] * 4 + [True] * 2
    scale = (0.3 * 1e7**0.3 / (0.4 * 1e9**0.4)) ** (1 / 0.7)
    for best in law.optima:
        wanted = scale * (best.flops / 6) ** (0.4 / 0.7)
        assert wanted in best.n_interval
        assert best.flops / 6 / wanted in best.d_interval
        assert 6 * best.n * best.d == pytest.approx(best.flops)


def test_parabolas_stand_beside_an_isoflop_design_and_nowhere_else() -> None:
    assert law_of(isoflop()).disagreement().startswith("The parabolas ")
    assert law_of(table(N, D)).disagreement() == ""


def test_the_largest_compute_is_held_out_and_predicted() -> None:
    held = law_of(isoflop()).held_out
    assert held is not None
    assert held.what == "the isoFLOP curve of the largest compute"
    assert 6 * held.n * held.d == pytest.approx(np.full(7, 1e18))
    assert held.inside >= 6 / 7
    assert abs(held.relative_error) < 0.005
    grid = law_of(table(N, D)).held_out
    assert grid is not None
    assert grid.what == "the largest token budget"
    assert grid.d == pytest.approx(np.full(5, 1e10))


def test_a_largest_compute_that_breaks_the_law_counts_against_it() -> None:
    runs = isoflop()
    runs["val_loss"] *= np.where(runs["flops"] > 5e17, 1.1, 1)
    law = law_of(runs)
    assert law.held_out is not None
    assert law.held_out.contradicted
    assert law.word == "not supported"


def test_the_error_of_the_validation_set_is_in_e_and_in_no_exponent() -> None:
    runs = table(N, D)
    without, given_error = law_of(runs), law_of(runs.assign(val_loss_se=0.05))
    assert given_error.alpha == without.alpha
    assert given_error.E.high - given_error.E.low > without.E.high - without.E.low
    assert given_error.E.high - given_error.E.low >= 2 * 1.96 * 0.05


def test_exponents_that_drift_make_the_law_weak_and_its_predictions_wide() -> None:
    runs = table(N, D, noise=0.001)
    bent = runs.assign(val_loss=runs["val_loss"] + 0.01 * np.log(N / 1e7) ** 2)
    straight, law = law_of(runs), law_of(bent)
    assert law.word != "supported"
    assert any("bend away from the surface" in reason for reason in law.reasons)
    widths = [p.high - p.low for p in (each.prediction(1e9, 1e11) for each in (straight, law))]
    assert widths[1] > 2 * widths[0]
