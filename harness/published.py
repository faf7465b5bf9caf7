"""Published isoFLOP runs of three studies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

SETS = {
    "epochai_chinchilla__massivetext__chinchilla": "Chinchilla",
    "llama_3__exp_loss": "Llama 3, exp",
    "llama_3__raw_loss": "Llama 3, raw",
    "misfitting__fineweb_c4__transformer": "(Mis)Fitting",
}


def read_isoflops(folder: Path) -> dict[str, pd.DataFrame]:
    """The runs of each set, by short name: all of them, and those not marked as outliers."""
    table = pd.read_csv(folder / "isoflops.csv").rename(
        columns={"budget": "flops", "loss": "val_loss"}
    )
    found = {}
    for name, short in SETS.items():
        runs = table[table["experiment"] == name]
        found[f"{short}, all"] = runs
        found[f"{short}, clean"] = runs[~runs["outlier"]]
    return found
