"""What a law predicts beyond the largest size measured, and how far that can be trusted.

An interval about a law holds if the same law continues. No run within the range can tell whether
it does: where a second exponent or a floor takes over later, the interval misses however many seeds
it rests on. So a second interval is given, which covers every curve that falls ever more slowly. At
most such a curve falls, in the logarithm, at the average pace of the whole range (as if there were
no floor); at least it does not fall at all (as if the floor were reached at the largest size).
"""

from dataclasses import dataclass

import numpy as np

from fitting.law.intervals import Interval, law_band, with_sampling_error
from fitting.law.power_law import PowerLaw

TENFOLD = 10.0
"""How far beyond the largest size the report looks."""
PUBLISHED_INSIDE, PUBLISHED_POINTS = 0.76, 268
"""The share of published runs, 5 to 20 times larger than those fitted, that lay inside `interval`
widened by a run's own noise, and their number: `python -m benchmarks.fitting_real_curves`."""


@dataclass(frozen=True)
class Extrapolation:
    """The loss beyond the largest size. Nats per token; intervals are 95 %."""

    n: float
    now: float
    """The law's loss at the largest size measured."""
    then: float
    """The law's loss at `n`, if the same law continues."""
    interval: Interval
    """Interval of `then`."""
    by_form: Interval
    """From a fall at the pace of the whole range to no further fall."""


def extrapolate(law: PowerLaw, n: float, error: float = 0.0) -> Extrapolation:
    """Extend `law`, which must have degrees of freedom, to a size `n` beyond its largest.

    `error`: the validation set's standard error, which all losses share; nats per token.
    """
    largest = float(law.n.max())
    now, then = (float(loss) for loss in law.predict([largest, n]))
    low, high = law_band(law, [largest, n])
    # The pace of the whole range, steeper than that of its end: a fitted floor may be too high.
    pace = -float(np.polyfit(np.log(law.n), np.log(law.loss), 1, w=np.sqrt(law.weight))[0])
    interval = Interval(float(low[1]), float(high[1]))
    by_form = Interval(
        float(min(low[1], low[0] * (n / largest) ** -pace)),
        float(max(high[1], high[0])),
    )
    return Extrapolation(
        n,
        now,
        then,
        with_sampling_error(interval, then, error),
        with_sampling_error(by_form, then, error),
    )
