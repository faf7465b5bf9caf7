"""A law tested on runs held out of the fit: the largest size, then each run in turn."""

from dataclasses import dataclass

import numpy as np

from fitting.law.intervals import Interval, prediction_interval
from fitting.law.power_law import PowerLaw, fit
from fitting.law.refit import refit
from fitting.runs.groups import SAME_SIZE, groups

MANY_RUNS = 2000
"""Above this number of runs none is left out in turn: time and memory grow as its square."""


@dataclass(frozen=True)
class HeldOut:
    """The largest size, predicted from the others. Losses in nats per token."""

    n: float
    observed: float
    """Mean over the runs of that size."""
    predicted: float
    interval: Interval
    """95 %."""
    wide: Interval
    """99.5 %: an observed loss outside this one counts against the law."""

    @property
    def relative_error(self) -> float:
        """Predicted over observed, minus one."""
        return self.predicted / self.observed - 1


@dataclass(frozen=True)
class Influence:
    """The law without one run."""

    n: float
    loss: float
    alpha: float
    c: float


def hold_out_largest(law: PowerLaw) -> HeldOut | None:
    """Predict the mean loss of the largest size; None where fewer than four runs would be left."""
    size = groups(law.n, SAME_SIZE)
    rest = size < size.max()
    largest = float(law.n[~rest].mean())
    if rest.sum() < 4 or size.max() < 3:
        return None
    part = fit(law.n[rest], law.loss[rest], residual=law.residual)
    runs = int((~rest).sum())
    return HeldOut(
        largest,
        float(law.loss[~rest].mean()),
        float(part.predict(largest)),
        prediction_interval(part, largest, 0.95, new_runs=runs),
        prediction_interval(part, largest, 0.995, new_runs=runs),
    )


def leave_one_out(law: PowerLaw) -> tuple[Influence, ...]:
    """The law refitted without each run in turn; empty for a law that does not fall, or where
    there are so many runs that none is decisive."""
    if law.bound in ("a", "alpha") or len(law.n) > MANY_RUNS:
        return ()
    weight = law.weight * (1 - np.eye(len(law.n)))
    laws = refit(law, np.tile(law.loss, (len(law.n), 1)), weight)
    return tuple(
        Influence(float(n), float(loss), float(alpha), float(c))
        for n, loss, (_, alpha, c) in zip(law.n, law.loss, laws)
    )
