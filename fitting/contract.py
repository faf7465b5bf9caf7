"""The record of a run: the names that `sweeps` writes, to files and MLflow, and `fitting` reads.

| column | meaning |
| --- | --- |
| cell_key | identity of the cell; two rows with one key are the same run |
| arch, size | architecture and the nominal name of the size |
| seed, lr | seed and learning rate |
| tokenizer, data | tokenizer, and fingerprint of the data set: laws never mix them |
| batch_tokens ... optimizer | the settings of training (`SETTINGS`): laws never mix them |
| shape | what a size resolved to, "d_hidden=15 n_layers=1": no law mixes two of one size |
| n_params | non-embedding + head parameters: the N of L(N) |
| n_params_embedding, n_params_non_embedding, n_params_head | its components |
| tokens, unique_tokens, epochs | tokens seen, distinct tokens in the corpus, their ratio |
| flops | training compute |
| val_loss, test_loss (and _se) | nats per token over the whole split, standard error over works |
| val_loss_per_note, val_loss_per_second | the same in units common to all tokenizers |
| val_loss_repeat, _broken, _shared, _new | the same by where tokens come from (`ORIGINS`) |
| val_loss_repeat_se, val_loss_repeat_share | its standard error, and the share of the tokens |
| seconds | wall time |
| status, reason | finished, failed, diverged or running; and why |
| any other number | whatever else was measured, read as it is: `--loss` fits a law to it |
| train_curve | list of (tokens seen, training loss) for up to 32 runs per arch; not in tables |
"""

from collections.abc import Mapping
from typing import Any

KIND, CELL_KEY, DATA, STATUS, REASON, SWEEP, FORECAST, AGAINST, LOSS, LAW, VERDICT = (
    "crescendo.kind",
    "crescendo.cell_key",
    "crescendo.data",
    "crescendo.status",
    "crescendo.reason",
    "crescendo.sweep",
    "crescendo.forecast",
    "crescendo.against",
    "crescendo.loss",
    "crescendo.law",
    "crescendo.verdict",
)
"""Tags of MLflow runs. `crescendo.kind` is cell, sweep, fit, or best: the best cell, trained on, in
no law. `crescendo.forecast`, on a sweep and its targets, is the sha256 of the forecast made before
they trained; `crescendo.against` and `crescendo.loss`, on a fit, are the columns of its axis and of
its loss; `crescendo.law.ARCH` and `crescendo.verdict.ARCH`, there and on the experiment, what came
out."""

REQUIRED = ("arch", "n_params", "val_loss")
"""What every run that has finished has; another loss may take the place of the last."""
SETTINGS = (
    "batch_tokens",
    "context",
    "weight_decay",
    "clip",
    "schedule",
    "rates",
    "boundaries",
    "precision",
    "optimizer",
)
"""Every field of a cell other than its axes; a test keeps them equal to `trainers.cell.Cell`."""
FIRST = {"precision": "fp32", "optimizer": "adamw"}
"""Settings added after the first runs, with the value of a run that does not record them; the same
test keeps them equal."""
APART = ("tokenizer", "data", *SETTINGS, "shape")
"""The columns in which all runs of a law agree."""
TEXTS = ("cell_key", "arch", "size", *APART, "status", "reason")
PARAMS = ("arch", "size", "seed", "lr", "tokenizer", "data", *SETTINGS)
METRICS = (
    "n_params",
    "n_params_embedding",
    "n_params_non_embedding",
    "n_params_head",
    "tokens",
    "unique_tokens",
    "epochs",
    "flops",
    "val_loss",
    "val_loss_se",
    "test_loss",
    "test_loss_se",
    "val_loss_per_note",
    "val_loss_per_second",
    "seconds",
)
"""What every finished cell has measured: a record that lacks one is refused. It may have more."""
ORIGINS = ("repeat", "broken", "shared", "new")
"""The classes of `data.origin`, of whose tokens `val_loss` and `test_loss` are told apart; a test
keeps the two equal. Records from before they were measured lack them."""
ORIGIN_METRICS = tuple(
    f"{split}_loss_{origin}{end}"
    for split in ("val", "test")
    for origin in ORIGINS
    for end in ("", "_se", "_share")
)
NUMBERS = ("seed", "lr", *METRICS)
POSITIVE = ("lr", "n_params", "tokens", "unique_tokens", "flops", "val_loss", "test_loss")
COLUMNS = (*TEXTS, *NUMBERS, "train_curve")


GROUPS = {
    "train": ("train_", "learning_rate"),
    "val": ("val_",),
    "test": ("test_",),
    "system": ("seconds", "tokens_per_second", "memory_mb", "cpu_cores", "gpu_percent"),
}
"""How the names begin of what MLflow shows together."""


def grouped(name: str) -> str:
    """The name in MLflow of a measured quantity: with its group, by which charts are arranged.
    `val/val_loss`, `system/memory_mb`; `model/n_params` for what is in none."""
    found = (group for group, begins in GROUPS.items() if name.startswith(begins))
    return f"{next(found, 'model')}/{name}"


def ungrouped(name: str) -> str:
    """The quantity of a metric in MLflow. Names of others stay: before there were groups, ours had
    none."""
    bare = name.rpartition("/")[2]
    return bare if grouped(bare) == name else name


def shape_text(params: Mapping[str, Any]) -> str:
    """The column `shape` of a cell with these params: its `shape_*` fields, in one line."""
    prefix = "shape_"
    found = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
    return " ".join(f"{name}={found[name]}" for name in sorted(found))
