"""The law of one architecture, fitted and tested."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fitting.law.alternatives import Alternatives, alternatives
from fitting.law.extrapolation import TENFOLD, Extrapolation, extrapolate
from fitting.law.held_out import HeldOut, Influence, hold_out_largest, leave_one_out
from fitting.law.intervals import (
    Interval,
    alpha_interval,
    c_interval,
    student_t,
    with_sampling_error,
)
from fitting.law.origins import OriginLaw, laws_by_origin
from fitting.law.power_law import PowerLaw, fit
from fitting.law.units import UnitLaw, laws_by_unit
from fitting.law.verdict import Verdict, judge
from fitting.runs.axis import Axis
from fitting.runs.groups import SAME_SIZE, groups
from fitting.runs.selection import Selection, select
from fitting.scrutiny.findings import Scrutiny, scrutinise
from fitting.surface.fit import RepeatedData, fit_repeated
from fitting.surface.isoflop import Frontier, fit_frontier
from fitting.surface.law import SurfaceLaw, surface_law

MIN_REPEATED = 12
"""Least number of runs for fitting R*, the sixth parameter of L(N, D')."""
UNKNOWN = Interval(0.0, float("inf"))


@dataclass(frozen=True)
class ArchLaw:
    """The law of one architecture, with its tests and verdict. Intervals are 95 %."""

    arch: str
    selection: Selection
    fit: PowerLaw | None
    """None where there are too few sizes to draw any curve."""
    alpha_interval: Interval
    c_interval: Interval
    alpha_student: Interval
    c_student: Interval
    alternatives: Alternatives | None
    """Fits without the floor c, and with Huber's loss."""
    held_out: HeldOut | None
    influence: tuple[Influence, ...]
    surface: SurfaceLaw | None
    """L(N, D), where sizes were trained at several token budgets."""
    repeated: RepeatedData | None
    """L(N, D'), where data were seen more than once and the runs determine R*."""
    repeated_note: str
    """What is known about repeated data, or why nothing is; "" where none were repeated."""
    frontier: Frontier | None
    """IsoFLOP minima, where several sizes share a compute budget."""
    beyond: Extrapolation | None
    """Ten times beyond the largest size; None for a law that is not supported."""
    by_unit: tuple[UnitLaw, ...]
    """Laws in nats per note and per second, where all runs were measured in them."""
    by_origin: tuple[OriginLaw, ...]
    """Laws by class of tokens, of runs that were measured so."""
    scrutiny: Scrutiny | None
    """The law under other choices; None where it cannot be tested or the losses do not fall."""
    verdict: Verdict

    @property
    def leading_surface(self) -> SurfaceLaw | None:
        """L(N, D), where tokens vary and the runs identify it: it is then the main result."""
        known = self.surface is not None and self.surface.identified
        return self.surface if known and self.selection.many_budgets else None

    @property
    def lead_verdict(self) -> Verdict:
        """The verdict on the main result: L(N, D) where it leads, else the law."""
        return self.leading_surface.verdict if self.leading_surface else self.verdict

    @property
    def falls(self) -> bool:
        """Whether there is a law to print: a fit through losses that fall."""
        return self.fit is not None and self.fit.a > 0

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

    def lines(self, symbol: str) -> list[str]:
        """A line or two on the law, the main result first; `symbol` is that of its axis."""
        said = []
        if surface := self.leading_surface:
            said.append(
                f"{self.arch}  {surface.headline()}   alpha {surface.alpha}   "
                f"beta {surface.beta}   {_judged(surface.verdict)}"
            )
        if not self.falls:
            return [*said, f"{self.arch}  no law   {_judged(self.verdict)}"]
        return [
            *said,
            f"{self.arch}  L({symbol}) = {self.a:.3g} {symbol}^-{self.alpha:.3g} + {self.c:.3g}   "
            f"alpha {self.alpha:.3g} {self.alpha_interval}   c {self.c:.3g} {self.c_interval}   "
            f"{_judged(self.verdict)}",
        ]


def law_of(records: pd.DataFrame, arch: str, axis: Axis) -> ArchLaw:
    """Select the runs of `arch`, fit them against `axis`, and run every test of the fit."""
    selection = select(records, arch, axis)
    runs = selection.runs
    known = runs[axis.column] > 0
    sizes = int(groups(runs[axis.column][known], SAME_SIZE).max(initial=-1)) + 1
    law = fit(runs[axis.column], runs["val_loss"]) if sizes >= 3 else None
    testable = law is not None and law.dof >= 1
    alpha = alpha_interval(law) if law and testable else UNKNOWN
    c = c_interval(law) if law and testable else UNKNOWN
    t_alpha, t_c = student_t(law) if law and testable else (UNKNOWN, UNKNOWN)
    held_out = hold_out_largest(law) if law else None
    influence = leave_one_out(law) if law else ()
    verdict = judge(law, alpha, c, held_out, influence, sizes, selection.warnings, axis)
    surface = surface_law(selection.all_budgets)
    repeated, repeated_note = _repeated(selection.all_budgets, surface)
    stands = law is not None and verdict.word != "not supported"
    error = float(runs["val_loss_se"].median())
    return ArchLaw(
        arch,
        selection,
        law,
        alpha,
        with_sampling_error(c, law.c, error) if law and testable else c,
        t_alpha,
        t_c,
        alternatives(law) if law and testable else None,
        held_out,
        influence,
        surface,
        repeated,
        repeated_note,
        _frontier(selection.all_budgets, surface),
        extrapolate(law, TENFOLD * law.n.max(), error) if law and stands else None,
        laws_by_unit(runs, axis) if law and testable else (),
        laws_by_origin(runs, axis, selection.warnings),
        scrutinise(law, alpha, runs, axis) if law and testable else None,
        verdict,
    )


def _frontier(runs: pd.DataFrame, surface: SurfaceLaw | None) -> Frontier | None:
    if surface:
        frontier = surface.frontier
    elif runs.empty or not np.all(runs["flops"] > 0):
        return None
    else:
        frontier = fit_frontier(runs["n_params"], runs["flops"], runs["val_loss"])
    return frontier if frontier.curves else None


def _repeated(runs: pd.DataFrame, surface: SurfaceLaw | None) -> tuple[RepeatedData | None, str]:
    """R* where the runs determine it, and a sentence on repeated data in any case."""
    known = runs[(runs["tokens"] > 0) & (runs["unique_tokens"] > 0)]
    epochs = known["tokens"] / known["unique_tokens"]
    if not (epochs > 1).any():
        return None, ""
    low, high = epochs.min(), epochs.max()
    seen = f"{low:.1f} times" if high - low < 0.05 else f"{low:.1f} to {high:.1f} times"
    said = f"The runs saw their data {seen}"
    if surface is None:
        return None, (
            f"{said}, at too few token budgets to tell what a repeated token is worth: L(N, D) "
            "needs at least 8 runs, 3 sizes and 3 budgets."
        )
    if not (epochs <= 1).any() or len(known) < len(runs) or len(runs) < MIN_REPEATED:
        return None, (
            f"{said}. What a repeated token is worth needs runs with and without repeats, at least "
            f"{MIN_REPEATED}, each with its unique_tokens."
        )
    found = fit_repeated(runs["n_params"], runs["tokens"], runs["unique_tokens"], runs["val_loss"])
    if found.at_bound:
        return None, (
            f"{said}. They cannot tell what a repeated token is worth: R* ran to the end of its "
            f"search ({found.r_star:.3g})."
        )
    return found, (
        f"{said}. A repeated token loses its worth with R* = {found.r_star:.3g}: after that many "
        "repetitions another pass is worth 1/e of fresh data (Muennighoff et al. 2023)."
    )


def _judged(verdict: Verdict) -> str:
    """The word, and the first reason for it."""
    return verdict.word + (f": {verdict.reasons[0]}" if verdict.reasons else "")
