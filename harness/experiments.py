"""Fabricated experiments with a known law, as records and as runs in MLflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from fitting.contract import grouped

TRUE_LAWS = {"transformer": (6.0, 0.30, 1.20), "lstm": (4.0, 0.24, 1.15)}


def make_records(seeds: int = 3, noise: float = 0.003, sizes: int = 8) -> pd.DataFrame:
    """Finished cells of two architectures with the laws above and this relative noise."""
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


ORIGIN_SHARES = {"repeat": 0.2, "broken": 0.05, "new": 0.75}


def with_origins(records: pd.DataFrame) -> pd.DataFrame:
    """The records measured by class: repeats are learnt fast, broken ones the worse for it, and
    nothing is shared with training. The noise is that of val_loss."""
    n, loss = records["n_params"], records["val_loss"]
    noise = loss / records.assign(loss=loss).groupby(["arch", "n_params"])["loss"].transform("mean")
    losses = {
        "repeat": 200 * n**-0.7 + 0.1,
        "broken": 3 - 10 * n**-0.4,
        "new": 6 * n**-0.3 + 1.5,
    }
    columns: dict[str, Any] = {f"val_loss_{name}": noise * each for name, each in losses.items()}
    columns |= {f"val_loss_{name}_share": share for name, share in ORIGIN_SHARES.items()}
    return records.assign(**columns, **{f"val_loss_{name}_se": 0.01 for name in losses})


def log_experiment(
    records: pd.DataFrame,
    uri: str,
    name: str,
    curve_points: int = 12,
    artifacts: str | None = None,
) -> None:
    """Write records to MLflow under the names that sweeps/tracking uses.

    artifacts: where files of the experiment go; with None, MLflow chooses.
    """
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment(name, artifacts)
    texts = ("arch", "size", "seed", "lr")
    outside = (*texts, "cell_key", "status", "reason")
    for row in records.to_dict("records"):
        tags = {"crescendo.kind": "cell"}
        tags |= {f"crescendo.{key}": str(row[key]) for key in ("cell_key", "status", "reason")}
        run = client.create_run(experiment, tags=tags).info.run_id
        tokens = int(row["tokens"])
        metrics = [
            Metric(grouped(str(key)), float(value), 0, tokens)
            for key, value in row.items()
            if key not in outside and pd.notna(value)
        ]
        for i in range(1, curve_points + 1):
            step = tokens * i // curve_points
            metrics.append(
                Metric(grouped("train_loss"), row.get("val_loss", 0) + 1 / i, step, step)
            )
        params = [Param(key, str(row[key])) for key in texts]
        client.log_batch(run, metrics=metrics, params=params, tags=[RunTag("x", "y")])
        client.set_terminated(run)
