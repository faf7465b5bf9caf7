"""What MLflow's pages say of a sweep and its cells, in words, and how they first show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fitting.contract import LAW, VERDICT

NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a description."""
KIND_OF_PAGE = {"mlflow.experimentKind": "custom_model_development"}
"""Without it, MLflow's first page of an experiment is about traces of language models."""
VIEW = "crescendo"
"""The name of a view, for links."""
SECTION = "crescendo"


def view() -> dict[str, Any]:
    """How MLflow's page of runs is to look, in the form in which it shares views: all runs and not
    the ten newest, which hides the largest cells, and the losses by size and compute first."""
    charts: list[dict[str, Any]] = [
        {"type": "SCATTER", "xaxis": _axis("model/n_params"), "yaxis": _axis("val/val_loss")},
        {"type": "SCATTER", "xaxis": _axis("model/flops"), "yaxis": _axis("val/val_loss")},
        {"type": "LINE", "metricKey": "train/train_loss", "xAxisScaleType": "log"},
    ]
    ours = {"deleted": False, "isGenerated": False}
    placed: dict[str, Any] = ours | {"metricSectionId": SECTION, "runsCountToCompare": 1000}
    section = {"uuid": SECTION, "name": "Crescendo", "display": True, "isReordered": False}
    return {
        "runsHiddenMode": "SHOWALL",
        "compareRunCharts": [
            {"uuid": f"{SECTION}-{number}", **placed, **chart}
            for number, chart in enumerate(charts)
        ],
        "compareRunSections": [section | ours],
    }


def _axis(metric: str) -> dict[str, str]:
    return {"key": metric, "type": "METRIC"}


UNITS = {
    "train/train_loss, val/val_loss, test/test_loss": "nats per token",
    "..._loss_se": "its standard error over works, nats per token",
    "val/val_loss_per_note, ..._per_second": "nats, the same for all tokenizers",
    "val/val_loss_at_64": "nats per token at the 64th to 127th of a piece",
    "train/learning_rate": "at a width of 64",
    "system/tokens_per_second": "tokens/s",
    "system/memory_mb": "MB",
    "system/cpu_cores": "cores busy",
    "system/gpu_percent": "% of the time that the card is busy",
    "system/seconds, seconds_evaluate": "s",
    "model/n_params": "parameters that each token meets: without embedding, with head",
    "model/tokens, unique_tokens, epochs": "seen, in the training split, their ratio",
    "model/flops": "training compute, FLOPs",
}


def of_experiment(name: str, corpus: str) -> dict[str, str]:
    """Tags of the experiment of a sweep."""
    rows = "".join(f"| `{metrics}` | {unit} |\n" for metrics, unit in UNITS.items())
    text = (
        f"Crescendo's sweep `{name}` on {corpus}. Each run is a model, but for two: `fit` has the "
        f"laws as tags (`{LAW}.ARCH`, `{VERDICT}.ARCH`) and `report.html` among its files, and "
        f"`sweep {name}` is the sweep itself. A name that ends in `-best` is the best of them, "
        "trained on for longer, and in no law. Steps of curves are tokens.\n\n"
        f"| metric | unit |\n| --- | --- |\n{rows}"
    )
    return {NOTE: text, **KIND_OF_PAGE, f"mlflow.sharedViewState.{VIEW}": json.dumps(view())}


def of_cell(params: Mapping[str, Any], corpus: str, note: str = "") -> str:
    """A sentence. note: what else it is than a cell of the grid: "best, 3 epochs"."""
    cell = dict(params)
    begin = f"{note.capitalize()}, in no law: " if note else ""
    return (
        f"{begin}{cell['arch']} of {cell['size']} parameters, "
        f"{cell['tokens']:,} tokens of {corpus}, "
        f"seed {cell['seed']}, learning rate {cell['lr']:g}, in batches of "
        f"{cell['batch_tokens']:,} tokens and contexts of {cell['context']:,}."
    )
