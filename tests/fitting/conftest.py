"""Fabricated experiments with a known law."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from fitting.surface import effective_tokens

TRUE_LAWS = {"transformer": (6.0, 0.30, 1.20), "lstm": (4.0, 0.24, 1.15)}


def make_records(seeds: int = 3, noise: float = 0.003, sizes: int = 8) -> pd.DataFrame:
    """Finished cells of two architectures with the laws above, `noise` relative."""
    rng = np.random.default_rng(7)
    rows = []
    for arch, (a, alpha, c) in TRUE_LAWS.items():
        for n in np.geomspace(3e3, 3e5, sizes).round():
            for seed in range(seeds):
                loss = (a * n**-alpha + c) * np.exp(noise * rng.standard_normal())
                rows.append(
                    {
                        "cell_key": f"{arch}-{n:.0f}-{seed}",
                        "arch": arch,
                        "size": f"{n / 1000:.0f}k",
                        "seed": seed,
                        "lr": 0.01,
                        "n_params": n,
                        "n_params_embedding": 2000,
                        "n_params_non_embedding": n - 1000,
                        "n_params_head": 1000,
                        "tokens": 3e6,
                        "unique_tokens": 2.3e6,
                        "epochs": 3 / 2.3,
                        "flops": 6 * n * 3e6,
                        "val_loss": loss,
                        "test_loss": loss * 1.01,
                        "val_loss_se": 0.002,
                        "val_loss_per_note": 2.5 * loss,
                        "val_loss_per_second": 9 * loss,
                        "seconds": 20.0,
                        "status": "finished",
                        "reason": "",
                    }
                )
    return pd.DataFrame(rows)


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


def log_experiment(records: pd.DataFrame, uri: str, name: str, curve_points: int = 12) -> None:
    """Write records to MLflow under the names that sweeps/tracking.py uses."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment(name)
    texts = ("arch", "size", "seed", "lr")
    outside = (*texts, "cell_key", "status", "reason")
    for row in records.to_dict("records"):
        tags = {"crescendo.kind": "cell"}
        tags |= {f"crescendo.{key}": str(row[key]) for key in ("cell_key", "status", "reason")}
        run = client.create_run(experiment, tags=tags).info.run_id
        tokens = int(row["tokens"])
        metrics = [
            Metric(key, float(value), 0, tokens)
            for key, value in row.items()
            if key not in outside and pd.notna(value)
        ]
        for i in range(1, curve_points + 1):
            step = tokens * i // curve_points
            metrics.append(Metric("train_loss", row.get("val_loss", 0) + 1 / i, step, step))
        params = [Param(key, str(row[key])) for key in texts]
        client.log_batch(run, metrics=metrics, params=params, tags=[RunTag("x", "y")])
        client.set_terminated(run)


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
