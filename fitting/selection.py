"""Which runs a law is fitted to, by rule; what is left out, and why."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fitting.axis import N_PARAMS, Axis
from fitting.isoflop import SAME_COMPUTE

SAME_BUDGET = 0.02
"""Token budgets within this fraction of each other count as one."""


@dataclass(frozen=True)
class Selection:
    """The runs of one architecture."""

    arch: str
    runs: pd.DataFrame
    """What the law is fitted to: finished, once each, at the best rate of their size; and of these
    one token budget (against parameters), one size (tokens) or the compute frontier (FLOPs)."""
    all_budgets: pd.DataFrame
    """As `runs`, and at every token budget: what L(N, D) and the isoFLOP curves are fitted to."""
    left_out: pd.DataFrame
    """Everything else, with a column `why`."""
    warnings: tuple[str, ...]
    """What makes the law weaker than its interval says: rates at the edge, cells not finished."""


def kept_apart(records: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Records whose `arch` also names the tokenizer and the data set, where there are several.

    Nats per token of different tokenizers or pieces do not lie on one curve. With them comes one
    sentence for each of the two that is not the same everywhere.
    """
    notes = []
    for name, plural in (("tokenizer", "tokenizers"), ("data", "data sets")):
        found = list(dict.fromkeys(records[name]))
        if len(found) < 2:
            continue
        shown = records[name].replace("", "unknown").str.slice(0, 12)
        records = records.assign(arch=records["arch"] + ", " + shown)
        notes.append(
            f"Found {len(found)} {plural} ({', '.join(dict.fromkeys(shown))}): each has laws of "
            "its own, and none is compared with another, for their losses per token differ in kind."
        )
    return records, tuple(notes)


def select(records: pd.DataFrame, arch: str, axis: Axis = N_PARAMS) -> Selection:
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

    along, why = _along(kept, axis)
    leave(kept[~along], why)
    order = [axis.column, *(name for name in ("n_params", "seed", "tokens") if name != axis.column)]
    left_out = pd.concat(left) if left else mine.head(0).assign(why="")
    return Selection(
        arch,
        kept[along].sort_values(order),
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


def _along(runs: pd.DataFrame, axis: Axis) -> tuple[pd.Series, str]:
    """Mask of the runs that differ along `axis` alone (along the frontier, for compute)."""
    if axis.column == "tokens":
        known = runs["tokens"] > 0
        return known & _common_size(runs), "another size, or no tokens recorded"
    if axis.column == "flops":
        known = runs["flops"] > 0
        return known & _frontier(runs), "another run of that compute or less did better"
    if _chooses_size(runs) and runs.groupby("n_params")["tokens"].nunique().max() < 2:
        # Every size at tokens of its own: only the best of each compute lie on one curve.
        return _frontier(runs), "another run of that compute or less did better"
    return _common_budget(runs), "another token budget (used by L(N, D))"


def _common_budget(runs: pd.DataFrame) -> pd.Series:
    """Mask of the token budget that most sizes share, where a size was trained at several."""
    rounded = np.round(np.log(runs["tokens"]) / SAME_BUDGET)
    budgets = rounded.groupby(runs["n_params"]).nunique()
    if runs.empty or budgets.max() < 2:
        return pd.Series(True, index=runs.index)
    sizes = runs["n_params"].groupby(rounded).nunique()
    shared = sizes[sizes == sizes.max()].index.max()
    return rounded == shared


def _common_size(runs: pd.DataFrame) -> pd.Series:
    """Mask of the size that was trained at the most token budgets, the largest of equals."""
    budgets = runs.groupby("n_params")["tokens"].nunique()
    return runs["n_params"] == budgets[budgets == budgets.max()].index.max()


def _chooses_size(runs: pd.DataFrame) -> bool:
    """Whether runs of one compute differ in size, as in an isoFLOP design."""
    compute = np.round(np.log(runs["flops"]) / SAME_COMPUTE)
    if runs["tokens"].nunique() < 2:
        # Neighbours of one budget, however near.
        return False
    return bool((runs["n_params"].groupby(compute).nunique() > 1).any())


def _frontier(runs: pd.DataFrame) -> pd.Series:
    """Mask of the sizes and budgets that none of the same compute, or of less, beats.

    Where every size has one budget there is nothing to choose from, and all are kept: to drop a
    size for its bad luck would be to choose by the noise.
    """
    sizes = runs.groupby("n_params")["tokens"].nunique()
    if runs.empty or (sizes.max() < 2 and not _chooses_size(runs)):
        return pd.Series(True, index=runs.index)
    points = runs.groupby(["n_params", "tokens"])[["flops", "val_loss"]].mean()
    cheap = points["flops"].to_numpy()[None, :] <= (
        points["flops"].to_numpy()[:, None] * (1 + SAME_COMPUTE)
    )
    least = np.where(cheap, points["val_loss"].to_numpy()[None, :], np.inf).min(axis=1)
    best = points.index[points["val_loss"] <= least]
    return pd.Series(runs.set_index(["n_params", "tokens"]).index.isin(best), index=runs.index)
