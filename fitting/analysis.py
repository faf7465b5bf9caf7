"""From records to laws: one per architecture, with intervals, held-out test and verdict."""

from dataclasses import dataclass, field

import pandas as pd

from fitting.arch_law import ArchLaw, law_of
from fitting.compare.comparison import Comparison, NotCompared
from fitting.compare.pairs import compare_all
from fitting.law.verdict import TREND_LEVEL, rise_p
from fitting.runs.apart import kept_apart
from fitting.runs.axis import AXES, N_PARAMS, Axis
from fitting.runs.baselines import Baselines
from fitting.runs.loss import VAL_LOSS, Loss, loss_in, note, rising, with_loss
from fitting.runs.read import RecordError
from fitting.runs.selection import of_many_budgets

PRINTED = 10
"""Number of pairs that are printed, a line each."""


@dataclass(frozen=True)
class Analysis:
    """Everything that the report shows."""

    records: pd.DataFrame
    """All that was measured, under its own names."""
    laws: dict[str, ArchLaw]
    comparisons: tuple[Comparison, ...]
    """Pairs of architectures whose laws are not rejected, by parameters and by FLOPs."""
    not_compared: tuple[NotCompared, ...]
    """The other pairs."""
    axis: Axis
    """What the laws are fitted against."""
    loss: Loss
    """What falls: the loss of every law."""
    notes: tuple[str, ...]
    """Remarks on the runs as a whole, such as which were separated and why."""
    baselines: Baselines = field(default_factory=dict)
    """What counting alone reaches on the same data; empty where nobody counted."""

    def lines(self) -> list[str]:
        """Notes, a line or two per architecture, and a line for each of the first few pairs."""
        laws = [line for law in self.laws.values() for line in law.lines(self.axis.symbol)]
        pairs = [pair.sentence() for pair in self.comparisons]
        pairs += [pair.sentence() for pair in self.not_compared]
        if len(pairs) > PRINTED:
            pairs[PRINTED:] = [f"And {len(pairs) - PRINTED:,} more pairs, on the page."]
        return [*self.notes, *laws, *pairs, *self._counted()]

    def _counted(self) -> list[str]:
        """A line on the baselines, if they have this loss."""
        column = self.loss.column
        known = {name: each[column] for name, each in self.baselines.items() if column in each}
        lowest_first = sorted(known.items(), key=lambda item: item[1])
        told = ", ".join(f"{name} {loss:.3f}" for name, loss in lowest_first)
        return [f"Counting alone, in {self.loss.unit}: {told}"] if told else []


def analyse(records: pd.DataFrame, against: str = "", loss: str = VAL_LOSS) -> Analysis:
    """Fit every architecture of the records (see `fitting.runs.read`), in the order they appear.

    `against` is a column of `fitting.runs.axis.AXES`. The default follows the design of the runs:
    compute where some size was trained at several token budgets, else parameters. `loss` is the
    column of the loss. RecordError where no cell finished, none has a value in one of these
    columns, or a loss of unknown kind is not above 0 or rises in every architecture.
    """
    if not (records["status"] == "finished").any():
        found = records["status"].value_counts()
        states = ", ".join(f"{count} {status}" for status, count in found.items()) or "no cells"
        raise RecordError(f"no finished cell to fit: found {states}")
    records, notes = kept_apart(records)
    finished = records["status"] == "finished"
    records, estimated = _with_compute(records)
    axis = AXES[against] if against else _called_for(records[finished])
    if not finished[records[axis.column] > 0].any():
        raise RecordError(f"no finished cell has a value in the column {axis.column}")
    measured = loss_in(loss)
    fitted = with_loss(records, measured)
    laws = {arch: law_of(fitted, arch, axis) for arch in sorted(set(fitted["arch"]))}
    fits = [law.fit for law in laws.values() if law.fit]
    if fits and not measured.known and all(rise_p(fit) < TREND_LEVEL for fit in fits):
        # A score rather than a loss: the best learning rate, taken for the worst, was left out.
        raise rising(measured, axis.unit)
    comparisons, not_compared = compare_all(laws, axis, measured)
    notes = (*note(records, measured), *notes)
    if estimated and "flops" in (axis.column, *(pair.axis for pair in comparisons)):
        notes += ("Compute was not recorded for every run; C = 6 N D is used.",)
    notes += tuple(
        f"{arch}: tokens grow with the size ({law.selection.along}), so alpha describes "
        "both together."
        for arch, law in laws.items()
        if law.fit and axis is N_PARAMS and law.selection.tokens_vary
    )
    notes += _on_pairs(len({(pair.first, pair.second) for pair in comparisons}))
    return Analysis(records, laws, comparisons, not_compared, axis, measured, notes)


def _called_for(finished: pd.DataFrame) -> Axis:
    """The axis that the design calls for: compute, if most runs do not share one budget."""
    usable = finished[finished["n_params"] > 0]
    apart = [of_many_budgets(runs) for _, runs in usable.groupby("arch")]
    return AXES["flops"] if any(apart) and (usable["flops"] > 0).any() else N_PARAMS


def _with_compute(records: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Fill in C = 6 N D where only N and D are known, and say whether that happened."""
    bare = ~(records["flops"] > 0) & (records["tokens"] > 0) & (records["n_params"] > 0)
    estimate = 6 * records["n_params"] * records["tokens"]
    return records.assign(flops=records["flops"].where(~bare, estimate)), bool(bare.any())


def _on_pairs(count: int) -> tuple[str, ...]:
    if count < 2:
        return ()
    return (
        f"{count} pairs are compared. With so many, some would differ by chance at 95 % each, so "
        "the intervals are widened until all of them hold together 95 times in 100.",
    )
