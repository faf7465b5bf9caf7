"""How much does the exponent depend on two choices: which sizes are fitted, and what counts as N?

Leaving out sizes at one end shows whether alpha drifts: if the law begins above the smallest size,
or ends below the largest, the exponent changes as sizes are dropped. Fewer sizes also cost
precision, so only a fit whose own interval excludes the alpha of all sizes shows a drift.

N is fitted as non-embedding + head. Kaplan et al. (2020) leave out the head, Hoffmann et al. (2022)
include the embedding, and at small sizes this changes the exponent (Pearce and Song 2024).
"""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fitting.law.intervals import Interval, alpha_interval
from fitting.law.power_law import FitError, PowerLaw, fit
from fitting.runs.groups import SAME_SIZE, groups

End = Literal["smallest", "largest"]
MOST_LEFT_OUT = 3
LEAST_SIZES = 4
"""Sizes that must remain for a fit."""
DRIFT_LEVEL = 0.99
"""There are six fits: at 95 % one of them would often exclude the alpha of a true law."""
NUMBER = {1: "", 2: "two ", 3: "three "}
WORDS = {1: "one size", 2: "two sizes", 3: "three sizes"}
MEANING = {"smallest": "begin later", "largest": "end before the largest"}
"""What it may mean if alpha differs without these sizes."""
COUNTS = {
    "non-embedding + head": ("n_params_non_embedding", "n_params_head"),
    "non-embedding": ("n_params_non_embedding",),
    "all": ("n_params_non_embedding", "n_params_head", "n_params_embedding"),
}
"""Ways to count N, as sums of columns; the first is the default."""


@dataclass(frozen=True)
class Trimmed:
    """The law without some sizes at one end."""

    end: End
    left_out: int
    """Number of sizes left out."""
    n_end: float
    """The smallest, or the largest, that remains."""
    alpha: float
    interval: Interval
    """95 %."""
    wide: Interval
    """99 %: a drift is shown where the alpha of all sizes lies outside this one."""
    noise: float
    """Standard deviation of a run about this law, relative."""


@dataclass(frozen=True)
class Counted:
    """The law against parameters counted in one way."""

    counted: str
    """A key of `COUNTS`."""
    alpha: float
    interval: Interval
    """95 %."""
    c: float
    noise: float
    """Standard deviation of a run about the law, relative."""


def without_ends(law: PowerLaw) -> tuple[Trimmed, ...]:
    """The law without its 1, 2, 3 smallest and largest sizes, while four sizes remain."""
    size = groups(law.n, SAME_SIZE)
    count = int(size.max()) + 1
    found = []
    for end in ("smallest", "largest"):
        for left_out in range(1, min(MOST_LEFT_OUT, count - LEAST_SIZES) + 1):
            kept = size >= left_out if end == "smallest" else size < count - left_out
            part = fit(law.n[kept], law.loss[kept], residual=law.residual)
            found.append(
                Trimmed(
                    end,
                    left_out,
                    float(part.n.min() if end == "smallest" else part.n.max()),
                    part.alpha,
                    alpha_interval(part),
                    alpha_interval(part, DRIFT_LEVEL),
                    part.noise,
                )
            )
    return tuple(found)


def drift_sentence(alpha: float, interval: Interval, ends: tuple[Trimmed, ...]) -> str:
    """What the shorter fits say about the exponent; `interval` is that of all sizes."""
    if not ends:
        return "Too few sizes to leave any out."
    drifting = [one for one in ends if alpha not in one.wide]
    if drifting:
        # The odd end is the one without which the rest lies closest to a law.
        worst = min(drifting, key=lambda one: one.noise)
        return (
            f"Leaving out the {NUMBER[worst.left_out]}{worst.end} moves α from {alpha:.3g} to "
            f"{worst.alpha:.3g} (99 % interval {worst.wide}): the law may {MEANING[worst.end]}."
        )
    if all(one.alpha in interval for one in ends):
        return "α stays within its interval whichever end is left out."
    low, high = (pick(one.alpha for one in ends) for pick in (min, max))
    return (
        f"With up to {WORDS[ends[-1].left_out]} left out at either end α comes out between "
        f"{low:.3g} and {high:.3g}; with all sizes it is {alpha:.3g}, and none of the shorter fits "
        "excludes that: no drift is shown."
    )


def counted_otherwise(runs: pd.DataFrame) -> tuple[Counted, ...]:
    """The law against each count of parameters that all `runs` recorded; none where only one is."""
    found = []
    for name, columns in COUNTS.items():
        n = runs[list(columns)].sum(axis=1, skipna=False)
        if not (n > 0).all():
            continue
        try:
            law = fit(n, runs["val_loss"])
        except FitError:
            continue
        found.append(Counted(name, law.alpha, alpha_interval(law), law.c, law.noise))
    return tuple(found) if len(found) > 1 else ()
