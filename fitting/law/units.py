"""The same losses in units common to all tokenizers: nats per note and per second of music.

A token of one tokenizer is not a token of another, so losses per token cannot be compared across
tokenizers. Losses per note or per second can, as long as the validation pieces are the same.
"""

from dataclasses import dataclass

import pandas as pd

from fitting.law.intervals import Interval, alpha_interval, c_interval
from fitting.law.power_law import PowerLaw, fit
from fitting.runs.axis import Axis
from fitting.runs.loss import LOSSES

UNITS = {name: LOSSES[name].unit for name in ("val_loss_per_note", "val_loss_per_second")}
"""Columns of the records, each with its unit in words."""


@dataclass(frozen=True)
class UnitLaw:
    """The law of one architecture in one unit. Intervals are 95 %."""

    column: str
    fit: PowerLaw
    alpha_interval: Interval
    c_interval: Interval

    @property
    def unit(self) -> str:
        """The unit in words."""
        return UNITS[self.column]


def laws_by_unit(runs: pd.DataFrame, axis: Axis) -> tuple[UnitLaw, ...]:
    """The laws of `runs` in each unit in which all of them were measured."""
    found = []
    for column in UNITS:
        if runs.empty or not (runs[column] > 0).all():
            continue
        law = fit(runs[axis.column], runs[column])
        found.append(UnitLaw(column, law, alpha_interval(law), c_interval(law)))
    return tuple(found)
