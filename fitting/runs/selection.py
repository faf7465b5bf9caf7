"""The rules for which runs a law is fitted to, and why the others are left out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fitting.runs.apart import confounded
from fitting.runs.axis import N_PARAMS, Axis
from fitting.runs.groups import SAME_BUDGET, SAME_COMPUTE, SAME_SIZE, groups

SAME_RATIO = 0.05
"""Tokens per parameter within this fraction are one ratio."""


@dataclass(frozen=True)
class Selection:
    """The runs of one architecture."""

    arch: str
    runs: pd.DataFrame
    """The runs that the law is fitted to: finished, without duplicates, at the best lr of their
    size, and of these one token budget (for a law in parameters), one size (in tokens) or the
    compute frontier (in FLOPs)."""
    all_budgets: pd.DataFrame
    """The same at every token budget: what L(N, D) and the isoFLOP curves are fitted to."""
    left_out: pd.DataFrame
    """Everything else, with a column `why`."""
    warnings: tuple[str, ...]
    """What weakens the law beyond its interval: lr at the edge, unfinished cells."""

    @property
    def many_budgets(self) -> bool:
        """Whether tokens vary as well as size, so that L(N) is not the whole story."""
        return of_many_budgets(self.all_budgets)

    @property
    def tokens_vary(self) -> bool:
        """Whether the runs of the law differ in tokens, as in a ladder of D = 20 N."""
        tokens = self.runs["tokens"]
        return bool((tokens > 0).all()) and groups(tokens, SAME_BUDGET).max(initial=0) > 0

    @property
    def along(self) -> str:
        """The budget of the runs in words: "2,500,000 tokens", "D = 20 N", "" if unknown."""
        tokens = self.runs["tokens"]
        if self.runs.empty or not (tokens > 0).all():
            return ""
        if not self.tokens_vary:
            return f"{tokens.median():,.0f} tokens"
        ratio = tokens / self.runs["n_params"]
        if groups(ratio, SAME_RATIO).max() == 0:
            return f"D = {ratio.median():.3g} N"
        return f"{tokens.min():,.0f} to {tokens.max():,.0f} tokens"


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

    # NaN compares as False, so values never recorded drop out here too.
    usable = ((kept[["n_params", "val_loss"]] > 0) & (kept[["n_params", "val_loss"]] < np.inf)).all(
        axis=1
    )
    leave(kept[~usable], "finished without a usable loss or n_params")
    if (~usable).any():
        warnings.append(f"{_cells((~usable).sum())} finished without a usable loss")
    kept = kept[usable]

    again = kept.duplicated(_identity(kept), keep="last")
    leave(kept[again], "recorded again later")
    if again.any() and (kept["cell_key"] == "").any():
        warnings.append(
            "of runs with the same size, seed and budget only the last is used: "
            f"{again.sum()} left out"
        )
    kept = kept[~again]

    best, edges = _best_lr(kept)
    leave(kept[~best], "another learning rate was better at this size")
    if edges:
        warnings.append(
            f"the best learning rate is at the edge of those tried at {', '.join(edges)}: "
            "a value beyond the edge may be better"
        )
    kept = kept[best]

    along, why = _along(kept, axis)
    leave(kept[~along], why)
    warnings += confounded(kept[along])
    order = [axis.column, *(name for name in ("n_params", "seed", "tokens") if name != axis.column)]
    left_out = pd.concat(left) if left else mine.head(0).assign(why="")
    return Selection(
        arch,
        kept[along].sort_values(order),
        kept.sort_values(order),
        left_out.sort_values(order),
        tuple(warnings),
    )


def many_budgets(runs: pd.DataFrame) -> bool:
    """Whether some size was trained at several token budgets, or some compute at several sizes."""
    known = runs[runs["tokens"] > 0]
    if known.empty:
        return False
    size, budget = _numbers(known)
    return bool(budget.groupby(size).nunique().max() > 1) or _chooses_size(known)


def of_many_budgets(runs: pd.DataFrame) -> bool:
    """Whether several budgets were the design: fewer than half of the runs share one budget.

    A stray run at another budget is not a design.
    """
    known = runs[runs["tokens"] > 0]
    if not many_budgets(known):
        return False
    _, budget = _numbers(known)
    return bool(2 * budget.value_counts().iloc[0] < len(known))


def _unfinished_warning(unfinished: pd.DataFrame) -> list[str]:
    counts = unfinished["status"].value_counts().sort_index()
    return [f"{_cells(count)} {status}" for status, count in counts.items()]


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _identity(runs: pd.DataFrame) -> list[str]:
    """The columns that identify a run. Without a seed, the loss is needed too."""
    if (runs["cell_key"] != "").all():
        return ["cell_key"]
    if runs["seed"].notna().all():
        return ["size", "n_params", "seed", "lr", "tokens"]
    return ["size", "n_params", "seed", "lr", "tokens", "val_loss"]


def _numbers(runs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The number of each run's size and of its token budget; a budget of 0 is unknown."""
    size = pd.Series(groups(runs["n_params"], SAME_SIZE), index=runs.index)
    budget = pd.Series(0, index=runs.index)
    known = runs["tokens"] > 0
    budget[known] = groups(runs["tokens"][known], SAME_BUDGET) + 1
    return size, budget


def _best_lr(runs: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Mask of the runs at the best lr of their size and budget; the sizes whose best is an edge."""
    best = pd.Series(True, index=runs.index)
    edges: list[str] = []
    if runs["lr"].nunique() < 2:
        return best, edges
    for _, cell in runs.groupby(list(_numbers(runs))):
        loss = cell.groupby("lr")["val_loss"].mean()
        if len(loss) < 2:
            continue
        lr = loss.idxmin()
        best[cell.index] = cell["lr"] == lr
        if lr in (loss.index.min(), loss.index.max()):
            edges.append(f"N = {cell['n_params'].iloc[0]:,.0f} (lr {lr:g})")
    return best, sorted(set(edges), key=edges.index)


def _along(runs: pd.DataFrame, axis: Axis) -> tuple[pd.Series, str]:
    """Mask of the runs that differ only along `axis` (for compute, along the frontier), and why
    the others are left out."""
    if runs.empty:
        return pd.Series(True, index=runs.index), ""
    if axis.column == "tokens":
        known = runs["tokens"] > 0
        return known & _common_size(runs), "another size, or no tokens recorded"
    if axis.column == "flops":
        known = runs["flops"] > 0
        best = _frontier(runs[known]).reindex(runs.index, fill_value=False)
        return best, "another run with the same compute or less was better"
    size, budget = _numbers(runs)
    if _chooses_size(runs) and budget.groupby(size).nunique().max() < 2:
        # Every size has its own tokens: only the best run at each compute lies on one curve.
        return _frontier(runs), "another run with the same compute or less was better"
    return _common_budget(runs), "another token budget (used by L(N, D))"


def _common_budget(runs: pd.DataFrame) -> pd.Series:
    """Mask of the token budget that most sizes share; of equals, the largest.

    Where every size has a single budget there is nothing to choose, and all are kept.
    """
    size, budget = _numbers(runs)
    if budget.groupby(size).nunique().max() < 2:
        return pd.Series(True, index=runs.index)
    shared = size.groupby(budget).nunique()
    return budget == shared[shared == shared.max()].index.max()


def _common_size(runs: pd.DataFrame) -> pd.Series:
    """Mask of the size that was trained at the most token budgets; of equals, the largest."""
    size, budget = _numbers(runs)
    budgets = budget.groupby(size).nunique()
    return size == budgets[budgets == budgets.max()].index.max()


def _chooses_size(runs: pd.DataFrame) -> bool:
    """Whether runs of equal compute differ in size and tokens, as in an isoFLOP design."""
    known = runs[(runs["flops"] > 0) & (runs["tokens"] > 0)]
    if known.empty:
        return False
    size, budget = _numbers(known)
    if budget.nunique() < 2:
        # Neighbouring sizes at one budget, however close.
        return False
    compute = pd.Series(groups(known["flops"], SAME_COMPUTE), index=known.index)
    return bool((size.groupby(compute).nunique() > 1).any())


def _frontier(runs: pd.DataFrame) -> pd.Series:
    """Mask of the sizes and budgets that no other of the same compute or less beats.

    Where every size has a single budget there is nothing to choose, and all are kept: dropping a
    size for bad luck would be selecting on noise. Of two that tie, the smaller is kept: they are
    not seeds of one another.
    """
    if not many_budgets(runs):
        return pd.Series(True, index=runs.index)
    size, budget = _numbers(runs)
    points = runs.groupby([size, budget])[["flops", "val_loss"]].mean()
    flops, loss = (points[name].to_numpy() for name in ("flops", "val_loss"))
    cheap = flops[None, :] <= flops[:, None] * (1 + SAME_COMPUTE)
    better = loss[None, :] < loss[:, None]
    tied = (loss[None, :] == loss[:, None]) & np.tri(len(points), k=-1, dtype=bool)
    best = points.index[~(cheap & (better | tied)).any(axis=1)]
    return pd.Series(pd.MultiIndex.from_arrays([size, budget]).isin(best), index=runs.index)
