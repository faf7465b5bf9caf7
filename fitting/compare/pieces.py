"""Two models on the same pieces: the difference of their losses, with its sampling error.

The choice of pieces in a split affects all models almost equally: music that is hard for one is
hard for the other. Pairing by piece cancels most of it. The intervals describe these trained models
on other music; they do not include what another seed would change.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as t_distribution

from fitting.law.intervals import Interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """Losses in nats per token; intervals at the requested level."""

    difference: float
    """The loss of the second model less that of the first: above 0, the first is ahead."""
    error: float
    """Its standard error, from the differences by piece."""
    interval: Interval
    unpaired_error: float
    """What the standard error would be on independent samples of pieces."""
    unpaired: Interval
    pieces: int
    works: int

    @property
    def gain(self) -> float:
        """How many times the paired error is smaller than the unpaired one."""
        return self.unpaired_error / self.error if self.error else np.inf

    def sentence(self, first: str, second: str) -> str:
        """The comparison of models with these names, in one line without a full stop."""
        said = f"paired on {self.pieces:,} pieces of {self.works:,} works: "
        if not (self.interval.low > 0 or self.interval.high < 0):
            said += f"neither {first} nor {second} is ahead, {second} less {first} is"
            return f"{said} {_told(self.difference, self.interval, self.unpaired)}"
        ahead, behind, sign = (first, second, 1) if self.difference > 0 else (second, first, -1)
        ends = (_times(sign, each) for each in (self.interval, self.unpaired))
        return f"{said}{ahead} is ahead of {behind} by {_told(sign * self.difference, *ends)}"


def compare_pieces(
    first: ArrayLike,
    second: ArrayLike,
    tokens: ArrayLike,
    works: ArrayLike,
    *,
    level: float = 0.95,
) -> Paired:
    """The difference of two models' losses on the same pieces.

    first, second: (pieces,) nats of each piece, by each model. tokens: (pieces,) tokens
    scored, the same for both. works: (pieces,) the number of each piece's work.
    The intervals are Student's t with one degree of freedom fewer than works, because works are
    what is drawn independently. With a single work the error is NaN.
    Raises ValueError where the shapes differ.
    """
    one, two, n = (np.asarray(values, dtype=float) for values in (first, second, tokens))
    work = np.unique(np.asarray(works), return_inverse=True)[1]
    if not one.shape == two.shape == n.shape == work.shape == (len(n),):
        raise ValueError(
            f"found arrays of {one.shape}, {two.shape}, {n.shape} and {work.shape}; expected a "
            "number for each piece in all of them"
        )
    count = int(work.max()) + 1
    difference = float((two - one).sum() / n.sum())
    error = ratio_error(two - one, n, work)
    unpaired = float(np.hypot(ratio_error(one, n, work), ratio_error(two, n, work)))
    reach = float(t_distribution.ppf((1 + level) / 2, count - 1)) if count > 1 else np.nan
    return Paired(
        difference,
        error,
        Interval(difference - reach * error, difference + reach * error),
        unpaired,
        Interval(difference - reach * unpaired, difference + reach * unpaired),
        len(n),
        count,
    )


def ratio_error(nats: Array, tokens: Array, works: NDArray[np.int64]) -> float:
    """Standard error of sum(nats) / sum(tokens), each (pieces,), where works are drawn
    independently with all their pieces: a ratio of cluster totals (Cochran 1977, section 6.3).

    works: (pieces,) consecutive numbers from 0. NaN for a single work.
    """
    ratio = nats.sum() / tokens.sum()
    spread = np.bincount(works, nats - ratio * tokens)
    count = len(spread)
    if count < 2:
        return np.nan
    return float(np.sqrt((spread**2).sum() * count / (count - 1)) / tokens.sum())


def _times(sign: int, interval: Interval) -> Interval:
    return interval if sign > 0 else Interval(-interval.high, -interval.low)


def _told(difference: float, interval: Interval, unpaired: Interval) -> str:
    low, high, wide_low, wide_high = (
        f"{end:z.3f}" for each in (interval, unpaired) for end in (each.low, each.high)
    )
    return f"{difference:z.3f} [{low}, {high}]; unpaired [{wide_low}, {wide_high}]"
