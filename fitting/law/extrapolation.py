"""What a law promises beyond the largest size that was measured, and what it cannot promise.

An interval about a law holds if this very law goes on. Whether it does, no run within the range can
tell: where a second exponent takes over later, or a floor, the interval misses however many seeds
stand behind it. So a second one goes with it, for every curve that falls ever more slowly: at most
at the pace, in the logarithm, of the whole range (as if there were no floor), and at least not at
all (as if the floor were reached at the largest size).
"""

from dataclasses import dataclass

import numpy as np

from fitting.law.intervals import Interval, law_band, with_sampling_error
from fitting.law.power_law import PowerLaw

TENFOLD = 10.0
"""How far beyond the largest size the report looks."""
PUBLISHED_INSIDE, PUBLISHED_POINTS = 0.76, 268
"""Of published runs 5 to 20 times beyond those that a law was fitted to, the share that lay inside
`interval`, widened by a run's own noise: `python -m benchmarks.fitting_real_curves`."""


@dataclass(frozen=True)
class Extrapolation:
    """The loss beyond the largest size. Nats per token; intervals are 95 %."""

    n: float
    now: float
    """By the law, at the largest size measured."""
    then: float
    """By the law, if this very law goes on."""
    interval: Interval
    """Of `then`."""
    by_form: Interval
    """Between the pace of the whole range and no further fall."""


def extrapolate(law: PowerLaw, n: float, error: float = 0.0) -> Extrapolation:
    """Go on to the size `n`, beyond the largest of `law`, which must have degrees of freedom.

    `error`: the standard error that all losses share, of the validation set; nats per token.
    """
    largest = float(law.n.max())
    now, then = (float(loss) for loss in law.predict([largest, n]))
    low, high = law_band(law, [largest, n])
    # Of the whole range, which is more than at its end: a floor that was fitted may be too high.
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
