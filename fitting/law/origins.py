"""The law of each class of tokens: repeats, broken repeats, shared with training, new."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fitting.law.held_out import hold_out_largest, leave_one_out
from fitting.law.intervals import Interval, alpha_interval, c_interval
from fitting.law.power_law import PowerLaw, fit
from fitting.law.verdict import Verdict, judge
from fitting.runs.axis import Axis
from fitting.runs.groups import SAME_SIZE, groups
from fitting.runs.loss import OF_ORIGIN, VAL_LOSS


@dataclass(frozen=True)
class OriginLaw:
    """What one architecture makes of one class of tokens. Losses are in nats per token."""

    origin: str
    """One of `fitting.contract.ORIGINS`."""
    share: float
    """Of the validation split's tokens."""
    at_largest: float
    """The loss on its tokens, the mean of the runs at the largest value of the axis."""
    error: float
    """Its standard error over works; NaN where it is not known."""
    fit: PowerLaw | None
    """None where there are too few sizes to draw any curve."""
    alpha_interval: Interval
    verdict: Verdict


def laws_by_origin(
    runs: pd.DataFrame, axis: Axis, warnings: tuple[str, ...]
) -> tuple[OriginLaw, ...]:
    """The laws of those of `runs` that were measured by class; none where none was.

    warnings: those of the selection of the runs.
    """
    found = []
    for origin in OF_ORIGIN:
        column = f"{VAL_LOSS}_{origin}"
        if column not in runs:
            continue
        measured = runs[(runs[column] > 0) & (runs[axis.column] > 0)]
        if measured.empty:
            continue
        sizes = groups(measured[axis.column], SAME_SIZE)
        largest = measured[sizes == sizes.max()]
        law = fit(measured[axis.column], measured[column]) if sizes.max() >= 2 else None
        testable = law is not None and law.dof >= 1
        alpha = alpha_interval(law) if law and testable else Interval(0.0, np.inf)
        c = c_interval(law) if law and testable else Interval(0.0, np.inf)
        held_out, influence = (hold_out_largest(law), leave_one_out(law)) if law else (None, ())
        count = int(sizes.max()) + 1
        found.append(
            OriginLaw(
                origin,
                float(largest[f"{column}_share"].mean()),
                float(largest[column].mean()),
                float(largest[f"{column}_se"].mean()),
                law,
                alpha,
                judge(law, alpha, c, held_out, influence, count, warnings, axis),
            )
        )
    return tuple(found)
