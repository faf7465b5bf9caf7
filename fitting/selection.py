"""Which runs a law is fitted to, by rule; what is left out, and why."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SAME_BUDGET = 0.02
"""Token budgets within this fraction of each other count as one."""


@dataclass(frozen=True)
class Selection:
    """The runs of one architecture."""

    arch: str
    runs: pd.DataFrame
    """Fitted by L(N): finished, once each, at the best rate of their size, at one token budget."""
    all_budgets: pd.DataFrame
    """As `runs`, and at every token budget: what L(N, D) and the isoFLOP curves are fitted to."""
    left_out: pd.DataFrame
    """Everything else, with a column `why`."""
    warnings: tuple[str, ...]
    """What makes the law weaker than its interval says: rates at the edge, cells not finished."""


def select(records: pd.DataFrame, arch: str) -> Selection:
    """Sort the records of one architecture into what is fitted and what is left out."""
    mine = records[records["arch"] == arch]
    left: list[pd.DataFrame] = []

    def leave(rows: pd.DataFrame, why: str | pd.Series) -> None:
        if len(rows):
            left.append(rows.assign(why=why))

    unfinished = mine[mine["status"] != "finished"]
    reasons = unfinished["reason"].where(unfinished["reason"] == "", ": " + unfinished["reason"])
    leave(unfinished, unfinished["status"] + reasons)
    warnings = _unfinished_warning(unfinished)
    kept = mine[mine["status"] == "finished"]

    # NaN compares as False, so what was never recorded falls out here too.
    usable = ((kept[["n_params", "val_loss"]] > 0) & (kept[["n_params", "val_loss"]] < np.inf)).all(
        axis=1
    )
    leave(kept[~usable], "finished without a usable val_loss or n_params")
    if (~usable).any():
        warnings.append(f"{_cells((~usable).sum())} finished without a usable loss")
    kept = kept[usable]

    again = kept.duplicated(_identity(kept), keep="last")
    leave(kept[again], "recorded again later")
    kept = kept[~again]

    best, edges = _best_rates(kept)
    leave(kept[~best], "another learning rate did better at this size")
    if edges:
        warnings.append(
            f"the best learning rate is at the edge of those tried at {', '.join(edges)}: "
            "a rate beyond it may be better"
        )
    kept = kept[best]

    budget = _common_budget(kept)
    leave(kept[~budget], "another token budget (used by L(N, D))")
    left_out = pd.concat(left) if left else mine.head(0).assign(why="")
    order = ["n_params", "seed", "tokens"]
    return Selection(
        arch,
        kept[budget].sort_values(order),
        kept.sort_values(order),
        left_out.sort_values(order),
        tuple(warnings),
    )


def _unfinished_warning(unfinished: pd.DataFrame) -> list[str]:
    counts = unfinished["status"].value_counts().sort_index()
    return [f"{_cells(count)} {status}" for status, count in counts.items()]


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _identity(runs: pd.DataFrame) -> list[str]:
    """The columns that make two rows the same run. Without a seed, only a whole row does."""
    if (runs["cell_key"] != "").all():
        return ["cell_key"]
    if runs["seed"].notna().all():
        return ["size", "n_params", "seed", "lr", "tokens"]
    return ["size", "n_params", "seed", "lr", "tokens", "val_loss"]


def _best_rates(runs: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Mask of the runs at the best rate of their size and budget, and the sizes at an edge."""
    best = pd.Series(True, index=runs.index)
    edges: list[str] = []
    for (n_params, _), cell in runs.groupby(["n_params", "tokens"], dropna=False):
        loss = cell.groupby("lr")["val_loss"].mean()
        if len(loss) < 2:
            continue
        lr = loss.idxmin()
        best[cell.index] = cell["lr"] == lr
        if lr in (loss.index.min(), loss.index.max()):
            edges.append(f"N = {n_params:,.0f} (lr {lr:g})")
    return best, sorted(set(edges), key=edges.index)


def _common_budget(runs: pd.DataFrame) -> pd.Series:
    """Mask of the token budget that most sizes share, where a size was trained at several."""
    rounded = np.round(np.log(runs["tokens"]) / SAME_BUDGET)
    budgets = rounded.groupby(runs["n_params"]).nunique()
    if runs.empty or budgets.max() < 2:
        return pd.Series(True, index=runs.index)
    sizes = runs["n_params"].groupby(rounded).nunique()
    shared = sizes[sizes == sizes.max()].index.max()
    return rounded == shared
