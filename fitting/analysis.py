"""From records to laws: one law an architecture, with intervals, self-test and verdict."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from fitting.comparison import Comparison, compare
from fitting.intervals import Interval, alpha_interval, c_interval, student_t
from fitting.isoflop import Frontier, fit_frontier
from fitting.power_law import FitError, PowerLaw, fit
from fitting.records import RecordError
from fitting.selection import Selection, select
from fitting.self_test import HeldOut, Influence, hold_out_largest, leave_one_out
from fitting.surface import Surface, fit_surface
from fitting.verdict import Verdict, judge

UNKNOWN = Interval(0.0, float("inf"))


@dataclass(frozen=True)
class ArchLaw:
    """The law of one architecture, and all that is known of its worth. Intervals are 95 %."""

    arch: str
    selection: Selection
    fit: PowerLaw | None
    """None where there are too few sizes to draw any curve."""
    alpha_interval: Interval
    c_interval: Interval
    alpha_student: Interval
    c_student: Interval
    held_out: HeldOut | None
    influence: tuple[Influence, ...]
    surface: Surface | None
    """L(N, D), where sizes were trained at several token budgets."""
    frontier: Frontier | None
    """IsoFLOP minima, where several sizes share a compute."""
    verdict: Verdict

    @property
    def a(self) -> float:
        """Scale of the law, in nats per token at N = 1."""
        return self.fit.a if self.fit else float("nan")

    @property
    def alpha(self) -> float:
        """Exponent of the law."""
        return self.fit.alpha if self.fit else float("nan")

    @property
    def c(self) -> float:
        """Loss that no size removes, nats per token."""
        return self.fit.c if self.fit else float("nan")

    def line(self) -> str:
        """The law in one line."""
        if self.fit is None:
            return f"{self.arch}  no law   {self.verdict.word}: {self.verdict.reasons[0]}"
        why = f": {self.verdict.reasons[0]}" if self.verdict.reasons else ""
        return (
            f"{self.arch}  L(N) = {self.a:.3g} N^-{self.alpha:.3g} + {self.c:.3g}   "
            f"alpha {self.alpha:.3g} {self.alpha_interval}   c {self.c:.3g} {self.c_interval}   "
            f"{self.verdict.word}{why}"
        )


@dataclass(frozen=True)
class Analysis:
    """Everything that the report shows."""

    records: pd.DataFrame
    laws: dict[str, ArchLaw]
    comparisons: tuple[Comparison, ...]
    """Every pair of architectures with a law that is not rejected, by parameters and by FLOPs."""

    def lines(self) -> list[str]:
        """One printable line an architecture, then one a comparison."""
        laws = [law.line() for law in self.laws.values()]
        return laws + [comparison.sentence() for comparison in self.comparisons]


def analyse(records: pd.DataFrame) -> Analysis:
    """Fit every architecture of the records (see `fitting.records`), in the order they appear.

    RecordError where no cell finished at all.
    """
    if not (records["status"] == "finished").any():
        found = records["status"].value_counts()
        states = ", ".join(f"{count} {status}" for status, count in found.items()) or "no cells"
        raise RecordError(f"no finished cell to fit: found {states}")
    laws = {arch: _law(records, arch) for arch in dict.fromkeys(records["arch"])}
    return Analysis(records, laws, tuple(_comparisons(laws)))


def _comparisons(laws: dict[str, ArchLaw]) -> list[Comparison]:
    standing = [law for law in laws.values() if law.fit and law.verdict.word != "not supported"]
    found = []
    for one, two in combinations(standing, 2):
        for axis in ("n_params", "flops"):
            runs = one.selection.runs, two.selection.runs
            if any((~(r[axis] > 0)).any() or r[axis].nunique() < 3 for r in runs):
                continue
            fits = [fit(r[axis], r["val_loss"]) for r in runs]
            found.append(compare(one.arch, fits[0], two.arch, fits[1], axis))
    return [comparison for comparison in found if comparison]


def _surface(runs: pd.DataFrame) -> Surface | None:
    if runs["tokens"].isna().any():
        return None
    # Least squares: Huber's delta of 1e-3 is for hundreds of runs with outliers among them.
    try:
        return fit_surface(runs["n_params"], runs["tokens"], runs["val_loss"], delta=None)
    except FitError:
        return None


def _frontier(runs: pd.DataFrame) -> Frontier | None:
    if runs.empty or not np.all(runs["flops"] > 0):
        return None
    frontier = fit_frontier(runs["n_params"], runs["flops"], runs["val_loss"])
    return frontier if frontier.curves else None


def _law(records: pd.DataFrame, arch: str) -> ArchLaw:
    selection = select(records, arch)
    runs = selection.runs
    sizes = runs["n_params"].nunique()
    law = fit(runs["n_params"], runs["val_loss"]) if sizes >= 3 else None
    testable = law is not None and law.dof >= 1
    alpha = alpha_interval(law) if law and testable else UNKNOWN
    c = c_interval(law) if law and testable else UNKNOWN
    t_alpha, t_c = student_t(law) if law and testable else (UNKNOWN, UNKNOWN)
    held_out = hold_out_largest(law) if law else None
    influence = leave_one_out(law) if law else ()
    verdict = judge(law, alpha, c, held_out, influence, sizes, selection.warnings)
    return ArchLaw(
        arch,
        selection,
        law,
        alpha,
        c,
        t_alpha,
        t_c,
        held_out,
        influence,
        _surface(selection.all_budgets),
        _frontier(selection.all_budgets),
        verdict,
    )
