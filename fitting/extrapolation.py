"""What a law promises beyond the largest size that was measured, and what it cannot promise.

An interval about a law holds if this very law goes on. Whether it does, no run within the range can
tell: where a second exponent takes over later, or a floor, the interval misses however many seeds
stand behind it. So a second one goes with it, for every curve that falls ever more slowly: at most
at the pace, in the logarithm, that the law has at the largest size (as if there were no floor), and
at least not at all (as if the floor were reached there).
"""

from dataclasses import dataclass

from fitting.intervals import Interval, law_band, with_sampling_error
from fitting.power_law import PowerLaw

FACTOR = 10.0


@dataclass(frozen=True)
class Extrapolation:
    """The loss at FACTOR times the largest size. Nats per token; intervals are 95 %."""

    n: float
    now: float
    """By the law, at the largest size measured."""
    then: float
    """By the law, if this very law goes on."""
    interval: Interval
    """Of `then`."""
    by_form: Interval
    """Between the pace kept and no further fall, with the law's interval at the largest size."""


def extrapolate(law: PowerLaw, error: float = 0.0) -> Extrapolation:
    """Go on to FACTOR times the largest size of `law`, which must have degrees of freedom.

    `error`: the standard error that all losses share, of the validation set; nats per token.
    """
    largest = float(law.n.max())
    n = FACTOR * largest
    now, then = (float(loss) for loss in law.predict([largest, n]))
    low, high = law_band(law, [largest, n])
    pace = law.alpha * (now - law.c) / now
    interval = Interval(float(low[1]), float(high[1]))
    by_form = Interval(
        float(min(low[1], low[0] * FACTOR**-pace)),
        float(max(high[1], high[0])),
    )
    return Extrapolation(
        n,
        now,
        then,
        with_sampling_error(interval, then, error),
        with_sampling_error(by_form, then, error),
    )
