"""What blind listening shows: how many answers it takes to tell a listener from a coin.

A listener hears as many real pieces as composed ones, and says of each whether a person made it. In
a browser, page.blind.js in this folder counts the answers, with the same exact intervals.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

CHANCE = 0.5
LEVEL, POWER = 0.05, 0.8
LONGEST = 2000


def answers_needed(right: float) -> int:
    """How many answers tell a listener who is right with this probability from chance.

    With that number, and with any larger one, the exact two-sided binomial test at `LEVEL` rejects
    chance with a probability of at least `POWER`: then Clopper and Pearson's 95 % interval does not
    hold 50 %. Raises ValueError if more than `LONGEST` are needed.
    """
    n = np.arange(1, LONGEST + 1)
    enough = power(n, right) >= POWER
    if not enough[-1]:
        raise ValueError(f"more than {LONGEST} answers tell {right} from {CHANCE}")
    # The power rises in the teeth of a saw.
    return int(n[~enough].max(initial=0)) + 1


def power(n: np.ndarray, right: float) -> np.ndarray:
    """How probable it is that the test rejects chance, of n answers."""
    # The least number of right ones that is too many by chance; by symmetry, of wrong ones too.
    least = stats.binom.isf(LEVEL / 2, n, CHANCE) + 1
    many, few = stats.binom.sf(least - 1, n, right), stats.binom.cdf(n - least, n, right)
    return np.asarray(many) + np.asarray(few)
