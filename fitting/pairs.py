"""Every pair of architectures: compared where that means something, and if not, why not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from fitting.apart import differing
from fitting.axis import AXES, Axis
from fitting.comparison import Comparison, NotCompared, compare, drawn_laws
from fitting.groups import SAME_BUDGET, SAME_SIZE, groups
from fitting.noise import Array
from fitting.power_law import PowerLaw, fit
from fitting.selection import SAME_RATIO
from fitting.units import PER_TOKEN, UNITS

if TYPE_CHECKING:
    from fitting.analysis import ArchLaw

MIN_COSTS = 3


@dataclass(frozen=True)
class _Planned:
    """A comparison that means something."""

    one: ArchLaw
    two: ArchLaw
    axis: str
    column: str
    """Of the loss."""


def compare_all(
    laws: dict[str, ArchLaw], against: Axis
) -> tuple[tuple[Comparison, ...], tuple[NotCompared, ...]]:
    """Compare by `against` and by FLOPs; what cannot be is said with its reason."""
    planned: list[_Planned] = []
    refused: list[NotCompared] = []
    for one, two in combinations(laws.values(), 2):
        meaningful, why = _plan(one, two, against)
        planned += meaningful
        if not meaningful:
            refused.append(NotCompared(one.arch, two.arch, why))
    fits: dict[tuple[str, str, str], tuple[PowerLaw, Array]] = {}

    def fitted(law: ArchLaw, each: _Planned) -> tuple[PowerLaw, Array]:
        key = law.arch, each.axis, each.column
        if key not in fits:
            runs = law.selection.runs
            made = fit(runs[each.axis], runs[each.column])
            fits[key] = made, drawn_laws(made, len(fits))
        return fits[key]

    compared = []
    # Of one pair what is said by parameters and by FLOPs is hardly two chances to err.
    count = len({(each.one.arch, each.two.arch) for each in planned})
    for each in planned:
        (one_fit, one_draws), (two_fit, two_draws) = (
            fitted(each.one, each),
            fitted(each.two, each),
        )
        found = compare(
            each.one.arch,
            one_fit,
            each.two.arch,
            two_fit,
            each.axis,
            unit=UNITS.get(each.column, PER_TOKEN),
            pairs=count,
            draws=(one_draws, two_draws),
            also=tuple(_also(each)),
        )
        if found:
            compared.append(found)
        else:
            why = f"they have no {AXES[each.axis].unit} in common"
            refused.append(NotCompared(each.one.arch, each.two.arch, why))
    return tuple(compared), tuple(refused)


def _plan(one: ArchLaw, two: ArchLaw, against: Axis) -> tuple[list[_Planned], str]:
    """The comparisons of a pair that mean something, or a reason why none does."""
    for law in (one, two):
        if law.fit is None or law.verdict.word == "not supported":
            return [], f"the runs of {law.arch} show no law"
    first, second = one.selection.runs, two.selection.runs
    column = "val_loss"
    if _differ(first, second, "tokenizer"):
        column = "val_loss_per_note"
        if not all((runs[column] > 0).all() for runs in (first, second)):
            return [], "their tokenizers differ, and the loss per note is not recorded"
    elif _differ(first, second, "data"):
        return [], "their data differ"
    axes = [against.column] if _alike_besides(first, second, against) else []
    axes += ["flops"] if "flops" not in axes else []
    usable = [axis for axis in axes if all(_spread(runs, axis) for runs in (first, second))]
    if not usable:
        return [], (
            f"{one.arch} was trained on {one.selection.along or 'an unknown number of tokens'}, "
            f"{two.arch} on {two.selection.along or 'an unknown number of tokens'}, and not all "
            "compute is recorded"
        )
    return [_Planned(one, two, axis, column) for axis in usable], ""


def _alike_besides(first: pd.DataFrame, second: pd.DataFrame, axis: Axis) -> bool:
    """Whether runs of equal `axis` are equal in what else decides the loss."""
    both = pd.concat([first, second])
    if axis.column == "tokens":
        return bool(groups(both["n_params"], SAME_SIZE).max() == 0)
    if axis.column == "flops":
        return True
    tokens = both["tokens"]
    if not (tokens > 0).any():
        # A table that tells no tokens: what it calls equal is taken to be.
        return True
    if not (tokens > 0).all():
        return False
    ratio = tokens / both["n_params"]
    return bool(groups(tokens, SAME_BUDGET).max() == 0 or groups(ratio, SAME_RATIO).max() == 0)


def _also(each: _Planned) -> list[str]:
    """What else differs within a pair."""
    one, two = each.one.selection, each.two.selection
    found = differing(one.runs, two.runs)
    if each.axis == "flops" and one.along != two.along:
        found.insert(0, f"tokens ({one.along}; {two.along})")
    return found


def _differ(first: pd.DataFrame, second: pd.DataFrame, name: str) -> bool:
    return bool(first[name].iloc[0] != second[name].iloc[0])


def _spread(runs: pd.DataFrame, axis: str) -> bool:
    """Whether all runs have a value on this axis, and enough different ones for a law."""
    values = runs[axis]
    return bool((values > 0).all()) and groups(values, SAME_SIZE).max() + 1 >= MIN_COSTS
