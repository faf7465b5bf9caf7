"""Fabricated experiments with a known law."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fitting.surface.fit import effective_tokens
from harness.experiments import log_experiment, make_records


def make_isoflop_records(unique: float = 2e8, seed: int = 3) -> pd.DataFrame:
    """One architecture, nine sizes at each of five computes; L(N, D') with R* of 5."""
    rng = np.random.default_rng(seed)
    n, flops = (
        v.ravel() for v in np.meshgrid(np.geomspace(0.2, 5, 9), np.geomspace(1e16, 1e18, 5))
    )
    n = (n * 1e7 * (flops / 1e17) ** 0.5).round()
    tokens = flops / 6 / n
    worth = effective_tokens(tokens, np.full_like(tokens, unique), 5.0)
    loss = 1.5 + (n / 1e5) ** -0.35 + (worth / 1e6) ** -0.35
    return pd.DataFrame(
        {
            "cell_key": [f"cell-{i}" for i in range(len(n))],
            "arch": "transformer",
            "size": [f"{v / 1e6:.1f}M" for v in n],
            "seed": 0.0,
            "lr": 0.01,
            "n_params": n,
            "tokens": tokens,
            "unique_tokens": np.minimum(tokens, unique),
            "flops": flops,
            "val_loss": loss * np.exp(0.001 * rng.standard_normal(len(n))),
        }
    )


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(name, tracking URI) of an experiment of 48 finished cells and three that are not."""
    records = make_records()
    extra = records.iloc[[0, 9, 40]].assign(
        cell_key=["x", "y", "z"], seed=9, status=["diverged", "failed", "running"]
    )
    extra["reason"] = ["loss is NaN at step 40", "out of memory", ""]
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    log_experiment(pd.concat([records, extra]), uri, "two-laws")
    return "two-laws", uri


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[[str], Path]:
    """Write the text of a table and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "runs.csv"
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def tables_folder() -> Path:
    """The folder `tables` beside the corpora: published numbers to check the fits against."""
    corpora = os.environ.get("CRESCENDO_CORPORA")
    if not corpora:
        pytest.skip("set CRESCENDO_CORPORA: the published tables lie beside it, in ../tables")
    return Path(corpora).parent / "tables"
