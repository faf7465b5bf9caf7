"""Every pair of architectures: compared where that is meaningful, or else the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from fitting.arch_law import ArchLaw
from fitting.compare.comparison import Comparison, NotCompared, compare, drawn_laws
from fitting.law.noise import Array
from fitting.law.power_law import PowerLaw, fit
from fitting.law.units import UNITS
from fitting.law.verdict import TREND_LEVEL, trend_p
from fitting.runs.apart import settings
from fitting.runs.axis import AXES, Axis
from fitting.runs.groups import SAME_BUDGET, SAME_SIZE, groups
from fitting.runs.loss import VAL_LOSS, Loss
from fitting.runs.selection import SAME_RATIO

MIN_COSTS = 3
LOSSES = (VAL_LOSS, *UNITS)


@dataclass(frozen=True)
class _Side:
    """What determines which architectures this one may be compared with."""

    law: ArchLaw
    tokens_of: tuple[str, str]
    """Tokenizer and data."""
    settings: dict[str, str]
    along: str
    spans: dict[str, tuple[float, float]]
    """Range of sizes, tokens and tokens per parameter; NaN where one is unknown."""
    costs: frozenset[str]
    """The axes along which its runs can be fitted."""
    losses: frozenset[str]
    """The loss columns that all its runs have."""

    @classmethod
    def of(cls, law: ArchLaw) -> _Side:
        runs = law.selection.runs
        ratio = runs["tokens"] / runs["n_params"]
        numbers = {"n_params": runs["n_params"], "tokens": runs["tokens"], "ratio": ratio}
        return cls(
            law,
            (str(runs["tokenizer"].iloc[0]), str(runs["data"].iloc[0])),
            settings(runs),
            law.selection.along,
            {name: (values.min(skipna=False), values.max()) for name, values in numbers.items()},
            frozenset(axis for axis in AXES if _spread(runs[axis])),
            frozenset(column for column in LOSSES if (runs[column] > 0).all()),
        )


@dataclass(frozen=True)
class _Planned:
    """A meaningful comparison, not yet made."""

    one: _Side
    two: _Side
    axis: str
    column: str
    """Column of the loss."""


def compare_all(
    laws: dict[str, ArchLaw], against: Axis, loss: Loss
) -> tuple[tuple[Comparison, ...], tuple[NotCompared, ...]]:
    """Compare every pair by `against` and by FLOPs, or give the reason why not."""
    sides = {arch: _Side.of(law) for arch, law in laws.items() if _stands(law)}
    planned: list[_Planned] = []
    refused: list[NotCompared] = []
    for one, two in combinations(laws, 2):
        missing = [arch for arch in (one, two) if arch not in sides]
        if missing:
            why = f"the runs of {' and of '.join(missing)} show no law"
            refused.append(NotCompared(one, two, why))
            continue
        meaningful, why = _plan(sides[one], sides[two], against, loss)
        planned += meaningful
        if not meaningful:
            refused.append(NotCompared(one, two, why))
    fits: dict[tuple[str, str, str], tuple[PowerLaw, Array | None]] = {}

    def fitted(side: _Side, each: _Planned) -> tuple[PowerLaw, Array | None]:
        """The law, and bootstrap draws of it if its losses fall."""
        key = side.law.arch, each.axis, each.column
        if key not in fits:
            runs = side.law.selection.runs
            made = fit(runs[each.axis], runs[each.column])
            falls = trend_p(made) < TREND_LEVEL and made.a > 0
            fits[key] = made, drawn_laws(made, len(fits)) if falls else None
        return fits[key]

    compared: list[Comparison] = []
    why_not: dict[tuple[str, str], str] = {}
    # Comparing a pair by parameters and by FLOPs is hardly two chances to err.
    count = len({(each.one.law.arch, each.two.law.arch) for each in planned})
    for each in planned:
        (one_fit, one_draws), (two_fit, two_draws) = fitted(each.one, each), fitted(each.two, each)
        names = each.one.law.arch, each.two.law.arch
        unit = UNITS.get(each.column, loss.unit)
        if one_draws is None or two_draws is None:
            drawn = zip(names, (one_draws, two_draws))
            lawless = " and ".join(name for name, draws in drawn if draws is None)
            why_not[names] = f"{lawless} shows no law by {AXES[each.axis].unit} in {unit}"
            continue
        found = compare(
            names[0],
            one_fit,
            names[1],
            two_fit,
            each.axis,
            unit=unit,
            pairs=count,
            draws=(one_draws, two_draws),
            also=tuple(_also(each)),
        )
        if found:
            compared.append(found)
        else:
            why_not[names] = f"they have no {AXES[each.axis].unit} in common"
    done = {(pair.first, pair.second) for pair in compared}
    refused += [NotCompared(*names, why) for names, why in why_not.items() if names not in done]
    return tuple(compared), tuple(refused)


def _stands(law: ArchLaw) -> bool:
    return law.fit is not None and law.verdict.word != "not supported"


def _plan(one: _Side, two: _Side, against: Axis, loss: Loss) -> tuple[list[_Planned], str]:
    """The meaningful comparisons of a pair, or the reason why there are none."""
    column = VAL_LOSS
    tokenizers_differ = one.tokens_of[0] != two.tokens_of[0]
    if tokenizers_differ and loss.column != VAL_LOSS:
        if not loss.across_tokenizers:
            return [], f"their tokenizers differ, and {loss.column} may depend on the tokenizer"
    elif tokenizers_differ:
        column = "val_loss_per_note"
        lacking = [side.law.arch for side in (one, two) if column not in side.losses]
        if lacking:
            named = " and ".join(lacking)
            return [], f"their tokenizers differ, and the loss per note is not recorded for {named}"
    elif one.tokens_of != two.tokens_of:
        return [], "their data differ"
    axes = [against.column] if _alike_besides(one, two, against) else []
    axes += ["flops"] if "flops" not in axes else []
    usable = [axis for axis in axes if axis in one.costs & two.costs]
    if not usable:
        return [], (
            f"{one.law.arch} was trained on {one.along or 'an unknown number of tokens'}, "
            f"{two.law.arch} on {two.along or 'an unknown number of tokens'}, and not all compute "
            "is recorded"
        )
    return [_Planned(one, two, axis, column) for axis in usable], ""


def _alike_besides(one: _Side, two: _Side, axis: Axis) -> bool:
    """Whether runs equal along `axis` are alike in what else determines the loss."""
    if axis.column == "flops":
        return True
    if axis.column == "tokens":
        return _within(one, two, "n_params", SAME_SIZE)
    if not one.along and not two.along:
        # Tables without tokens: their budgets are assumed to be equal.
        return True
    return _within(one, two, "tokens", SAME_BUDGET) or _within(one, two, "ratio", SAME_RATIO)


def _within(one: _Side, two: _Side, name: str, tolerance: float) -> bool:
    """Whether all runs of both lie within `tolerance` of each other; False where one is unknown."""
    low = min(side.spans[name][0] for side in (one, two))
    high = max(side.spans[name][1] for side in (one, two))
    known = all(side.spans[name][0] > 0 for side in (one, two))
    return bool(known and high <= low * (1 + tolerance))


def _also(each: _Planned) -> list[str]:
    """What else differs between the two."""
    one, two = each.one.settings, each.two.settings
    found = [f"{name} ({one[name]}; {two[name]})" for name in one if one[name] != two[name]]
    if each.axis == "flops" and each.one.along != each.two.along:
        found.insert(0, f"tokens ({each.one.along}; {each.two.along})")
    return found


def _spread(values: pd.Series) -> bool:
    """Whether all runs have a value, and enough different values for a law."""
    return bool((values > 0).all()) and groups(values, SAME_SIZE).max() + 1 >= MIN_COSTS
