"""L(N, D): known surfaces come back, and the published table gives the published numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.law.power_law import FitError
from fitting.surface.fit import bootstrap, effective_tokens, fit_repeated, fit_surface

N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e6, 1e8, 5), np.geomspace(1e8, 1e10, 5)))


@pytest.fixture(scope="session")
def figure4(tables_folder: Path) -> pd.DataFrame:
    """The runs of figure 4 of Hoffmann et al. (2022), as read off by Besiroglu et al. (2024)."""
    table = pd.read_csv(tables_folder / "chinchilla_figure4.csv")
    flops = table["Training FLOP"]
    return pd.DataFrame(
        {
            "n": table["Model Size"],
            "d": flops / 6 / table["Model Size"],
            "flops": flops,
            "loss": table["loss"],
        }
    ).sort_values("loss")


def test_the_chinchilla_runs_give_the_replicated_parameters(figure4: pd.DataFrame) -> None:
    runs = figure4.iloc[:-5]
    surface = fit_surface(runs["n"], runs["d"], runs["loss"])
    assert surface.objective <= 0.0010183
    assert surface.gradient < 1e-6
    assert pytest.approx(477.8, abs=0.1) == surface.A
    assert pytest.approx(2143.5, abs=0.5) == surface.B
    assert pytest.approx(1.8172, abs=1e-4) == surface.E
    assert surface.alpha == pytest.approx(0.34731, abs=1e-5)
    assert surface.beta == pytest.approx(0.36717, abs=1e-5)


def test_its_intervals_agree_with_the_published_ones(figure4: pd.DataFrame) -> None:
    runs = figure4.iloc[:-5]
    draws = bootstrap(fit_surface(runs["n"], runs["d"], runs["loss"]), draws=1000)
    assert draws.kind == "cases"
    published = {"E": (1.769, 1.871), "alpha": (0.317, 0.373), "beta": (0.331, 0.415)}
    for name, (low, high) in published.items():
        found = draws.interval(name)
        tolerance = 0.06 * (high - low)
        assert found.low == pytest.approx(low, abs=tolerance)
        assert found.high == pytest.approx(high, abs=tolerance)
    assert np.median(draws.draws["a"]) == pytest.approx(0.513, abs=0.01)
    assert draws.standard_error("a") == pytest.approx(0.020, abs=0.004)


def test_least_squares_below_1e21_flops_matches_the_second_check(figure4: pd.DataFrame) -> None:
    runs = figure4[figure4["flops"] < 1e21].iloc[:-5]
    assert len(runs) == 217
    surface = fit_surface(
        runs["n"] / 1e6, runs["d"] / 1e9, runs["loss"], residual="loss", delta=None
    )
    assert 2 * surface.objective == pytest.approx(0.062414, abs=5e-7)
    assert pytest.approx(1.9051, abs=5e-5) == surface.E
    assert pytest.approx(4.0005, abs=5e-5) == surface.A
    assert pytest.approx(1.0509, abs=5e-5) == surface.B
    assert surface.alpha == pytest.approx(0.3511, abs=5e-5)
    assert surface.beta == pytest.approx(0.4587, abs=5e-5)


@settings(max_examples=15)
@given(alpha=st.floats(0.15, 0.6), beta=st.floats(0.15, 0.6), e=st.floats(0.5, 2.5))
def test_a_surface_without_noise_comes_back(alpha: float, beta: float, e: float) -> None:
    loss = e + (N / 1e7) ** -alpha + (D / 1e9) ** -beta
    surface = fit_surface(N, D, loss, delta=None)
    assert surface.alpha == pytest.approx(alpha, rel=1e-4)
    assert surface.beta == pytest.approx(beta, rel=1e-4)
    assert pytest.approx(e, rel=1e-4) == surface.E


def test_the_optimal_size_is_the_minimum_along_constant_compute() -> None:
    surface = fit_surface(N, D, 1.5 + (N / 1e7) ** -0.3 + (D / 1e9) ** -0.4)
    sizes = np.geomspace(1e5, 1e9, 4001)
    loss = surface.predict(sizes, 1e17 / 6 / sizes)
    assert float(surface.optimal_n(1e17)) == pytest.approx(sizes[np.argmin(loss)], rel=0.01)


def test_few_runs_are_never_resampled_as_cases() -> None:
    rng = np.random.default_rng(0)
    loss = (1.5 + (N / 1e7) ** -0.3 + (D / 1e9) ** -0.4) * np.exp(0.002 * rng.standard_normal(25))
    draws = bootstrap(fit_surface(N, D, loss, delta=None), draws=200)
    assert draws.kind == "noise"
    assert 0.3 in draws.interval("alpha", 0.99)


def test_repeated_data_are_worth_less_and_r_star_comes_back() -> None:
    unique = np.full_like(D, 5e8)
    loss = 1.5 + (N / 1e7) ** -0.3 + (effective_tokens(D, unique, 5.0) / 1e9) ** -0.4
    assert fit_repeated(N, D, unique, loss).r_star == pytest.approx(5.0, rel=0.02)


def test_one_pass_is_worth_itself() -> None:
    assert effective_tokens(1e9, 2e9, 5.0) == pytest.approx(1e9)
    assert effective_tokens(4e9, 1e9, 1e9) == pytest.approx(4e9, rel=1e-6)


def test_too_few_token_counts_are_refused() -> None:
    with pytest.raises(FitError, match="3 token counts"):
        fit_surface(N, np.full_like(N, 1e9), np.ones_like(N))
