"""How a law holds up under other choices (sizes, counts of N, forms of curve), and whether its
training curves collapse. None of this changes the law or its verdict."""

from dataclasses import dataclass

import pandas as pd

from fitting.law.intervals import Interval
from fitting.law.power_law import PowerLaw
from fitting.runs.axis import N_PARAMS, Axis
from fitting.scrutiny.collapse import Collapse, collapse
from fitting.scrutiny.rivals import Forms, judge_forms
from fitting.scrutiny.sensitivity import (
    Counted,
    Trimmed,
    counted_otherwise,
    drift_sentence,
    without_ends,
)


@dataclass(frozen=True)
class Scrutiny:
    """One law under other choices."""

    ends: tuple[Trimmed, ...]
    """Fits without sizes at one end; empty where fewer than five sizes were fitted."""
    drift: str
    """A sentence on `ends`."""
    counted: tuple[Counted, ...]
    """Fits against other counts of N; empty where its parts were not recorded, or x is not N."""
    forms: Forms
    collapse: Collapse | None
    """None for a law against anything but N."""


def scrutinise(
    law: PowerLaw, interval: Interval, runs: pd.DataFrame, axis: Axis
) -> Scrutiny | None:
    """Scrutinise a law, given the 95 % `interval` of its alpha and the runs that it was fitted to.

    None where the losses do not fall, for there is no exponent to question.
    """
    if law.a <= 0:
        return None
    trimmed = without_ends(law)
    by_size = axis == N_PARAMS
    return Scrutiny(
        trimmed,
        drift_sentence(law.alpha, interval, trimmed),
        counted_otherwise(runs) if by_size else (),
        judge_forms(law.n, law.loss),
        collapse(runs, law) if by_size else None,
    )
