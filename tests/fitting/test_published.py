"""The published isoFLOP runs of four studies give the published numbers (Open-Athena 2026)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fitting.surface.fit import Surface, fit_surface
from fitting.surface.isoflop import Frontier, fit_frontier
from fitting.surface.law import surface_law

BUDGETS = np.geomspace(1e18, 1e22, 5)
LARGE = 3.8e25
"""The compute of Llama 3 405B."""
LLAMA = (0.6047, 59.1, 155.1, 0.3100, 0.3136)
HOFFMANN = (1.69, 406.4, 410.7, 0.34, 0.28)
"""E, A, B, alpha, beta."""


@pytest.fixture(scope="session")
def isoflops(tables_folder: Path) -> pd.DataFrame:
    table = pd.read_csv(tables_folder / "isoflops.csv")
    return table.rename(columns={"budget": "flops", "loss": "val_loss"})


@pytest.fixture(scope="session")
def llama(isoflops: pd.DataFrame) -> pd.DataFrame:
    return isoflops[isoflops["experiment"] == "llama_3__raw_loss"]


def fitted(runs: pd.DataFrame, residual: str = "log") -> Surface:
    columns = (runs[name] for name in ("n_params", "tokens", "val_loss"))
    return fit_surface(*columns, residual=residual, delta=None)  # type: ignore[arg-type]


def test_llama_3_by_least_squares_on_the_loss(llama: pd.DataFrame) -> None:
    surface = fitted(llama, "loss")
    assert pytest.approx(0.6047, abs=5e-5) == surface.E
    assert pytest.approx(59.1, abs=0.05) == surface.A
    assert pytest.approx(155.1, abs=0.05) == surface.B
    assert surface.alpha == pytest.approx(0.3100, abs=5e-5)
    assert surface.beta == pytest.approx(0.3136, abs=5e-5)


def test_llama_3_by_least_squares_on_log_loss(llama: pd.DataFrame) -> None:
    surface = fitted(llama)
    assert pytest.approx(0.6021, abs=5e-5) == surface.E
    assert pytest.approx(56.2, abs=0.05) == surface.A
    assert pytest.approx(147.3, abs=0.05) == surface.B
    assert surface.alpha == pytest.approx(0.3068, abs=5e-5)
    assert surface.beta == pytest.approx(0.3110, abs=5e-5)


def test_the_parabolas_of_llama_3_ask_for_58_percent_more_tokens(llama: pd.DataFrame) -> None:
    law = surface_law(llama)
    assert law is not None
    assert law.surface.optimal_exponent == pytest.approx(0.5034, abs=5e-5)
    assert law.frontier.exponent == pytest.approx(0.4632, abs=5e-4)
    more = law.surface.optimal_n(LARGE) / law.frontier.optimal_n(LARGE)
    assert float(more) == pytest.approx(1.58, abs=0.02)
    assert law.disagreement().startswith("The parabolas ask for 38 % more tokens at 1e+24 FLOPs.")


def test_chinchilla_below_1e21_on_log_loss(tables_folder: Path) -> None:
    table = pd.read_csv(tables_folder / "chinchilla_figure4.csv").sort_values("loss")
    table = table.assign(tokens=table["Training FLOP"] / 6 / table["Model Size"])
    runs = table[table["Training FLOP"] < 1e21].iloc[:-5]
    surface = fit_surface(runs["Model Size"], runs["tokens"], runs["loss"], delta=None)
    assert len(runs) == 217
    assert pytest.approx(1.8926, abs=5e-5) == surface.E
    assert surface.alpha == pytest.approx(0.3522, abs=5e-5)
    assert surface.beta == pytest.approx(0.4430, abs=5e-5)


@pytest.mark.parametrize(("numbers", "error"), [(LLAMA, 0.039), (HOFFMANN, 0.079)])
def test_parabolas_err_without_noise_and_the_surface_does_not(
    numbers: tuple[float, ...], error: float
) -> None:
    """Sizes within 8 times of a centre that drifts from the optimum to a third of it."""
    E, A, B, alpha, beta = numbers
    empty = np.empty(0)
    truth = Surface(A, B, E, alpha, beta, empty, empty, empty, 0.0, 0.0, "log", None)
    drift = 3 ** -np.linspace(0, 1, len(BUDGETS))
    n = (truth.optimal_n(BUDGETS) * drift)[:, None] * np.geomspace(1 / 8, 8, 15)
    flops = np.broadcast_to(BUDGETS[:, None], n.shape).ravel()
    n = n.ravel()
    loss = truth.predict(n, flops / 6 / n)
    frontier: Frontier = fit_frontier(n, flops, loss)
    best = float(truth.optimal_n(LARGE))
    assert best / float(frontier.optimal_n(LARGE)) - 1 == pytest.approx(error, abs=5e-4)
    surface = fit_surface(n, flops / 6 / n, loss, delta=None)
    assert float(surface.optimal_n(LARGE)) == pytest.approx(best, rel=1e-4)


@pytest.mark.slow
def test_held_out_budgets_of_real_runs_end_inside_nine_times_in_ten(tables_folder: Path) -> None:
    """All runs, and those without marked outliers; EXPERIMENTS.md has the table by study."""
    from fitting.surface.held_out import hold_out_these
    from harness.published import read_isoflops

    inside = total = 0.0
    for runs in read_isoflops(tables_folder).values():
        n, d, loss = (runs[c].to_numpy(float) for c in ("n_params", "tokens", "val_loss"))
        budgets = np.unique(runs["flops"])
        for last in (1, 2, 3):
            out = np.isin(runs["flops"], budgets[-last:])
            held = hold_out_these(n, d, loss, out, "")
            inside += held.inside * len(held.n)
            total += len(held.n)
    assert inside / total >= 0.9
