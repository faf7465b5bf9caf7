"""The same runs fitted by other rules: is the floor c needed, and does Huber's loss agree?

Neither replaces the law that is reported. Reporting whichever form won a comparison would make its
interval too narrow; and c = 0 is a special case of the law with a floor, whose interval says
whether it is possible.
"""

from dataclasses import dataclass

import numpy as np

from fitting.law.power_law import PowerLaw
from fitting.law.refit import refit

HUBER_DELTA = 1e-3
"""Huber threshold on log loss, as in Hoffmann et al. (2022, section 3.3)."""
FEW = 6
"""With six runs a floor has to make the residuals twelve times smaller to be worth its penalty."""
CLEAR = 2.0
"""A difference of AICc below which neither form is preferred (Burnham and Anderson 2002, 2.6)."""


@dataclass(frozen=True)
class Alternatives:
    """Other fits to the runs of one law."""

    a_no_floor: float
    alpha_no_floor: float
    """L = a x^-alpha, least squares on log loss."""
    aicc_gain: float
    """AICc without the floor minus AICc with it: above 0 where the floor is worth a parameter,
    minus infinity where there are too few runs for a third parameter."""
    a_huber: float
    alpha_huber: float
    c_huber: float
    """L = a x^-alpha + c by Huber's loss; NaN where the law does not fall."""
    runs: int
    """How many were fitted."""

    def sentence(self) -> str:
        """What the comparison of AICc says, and whether that says anything of the runs."""
        if np.isinf(self.aicc_gain):
            return f"{self.runs} runs are too few to ask whether the floor c is needed."
        return self._compared() + self._warning()

    def _warning(self) -> str:
        if self.runs > FEW or self.aicc_gain > CLEAR:
            return ""
        price = penalty(self.runs, 3) - penalty(self.runs, 2)
        return (
            f" With {self.runs} runs that is decided by AICc's penalty for a third parameter "
            f"({price:.0f}) rather than by the losses."
        )

    def _compared(self) -> str:
        if self.aicc_gain > CLEAR:
            return f"The floor c is needed: AICc {self.aicc_gain:.1f} better with it."
        if self.aicc_gain < -CLEAR:
            return (
                f"No floor c is needed: AICc {-self.aicc_gain:.1f} better without it, "
                f"with α = {self.alpha_no_floor:.3g}."
            )
        return (
            f"With or without the floor c: AICc differs by {abs(self.aicc_gain):.1f}. "
            f"Without it α = {self.alpha_no_floor:.3g}."
        )


def alternatives(law: PowerLaw) -> Alternatives:
    """Fit the other forms to the runs of `law`, whose residuals are those of log loss."""
    log_loss, log_n = np.log(law.loss), np.log(law.n)
    slope, intercept = np.polyfit(log_n, log_loss, 1, w=np.sqrt(law.weight))
    rss = float(law.weight @ (log_loss - slope * log_n - intercept) ** 2)
    huber = np.full(3, np.nan)
    if law.bound not in ("a", "alpha"):
        huber = refit(law, law.loss[None], law.weight[None], delta=HUBER_DELTA)[0]
    gain = aicc(rss, len(log_n), 2) - aicc(law.rss, len(log_n), 3)
    return Alternatives(
        float(np.exp(intercept)),
        float(-slope),
        float(gain) if np.isfinite(gain) else -np.inf,
        float(huber[0]),
        float(huber[1]),
        float(huber[2]),
        len(log_n),
    )


def aicc(rss: float, runs: int, parameters: int) -> float:
    """Corrected Akaike criterion for least squares; the noise counts as one more parameter.

    Hurvich and Tsai (1989). Infinite where there are too few runs for the correction.
    """
    # Losses that the law fits exactly would otherwise be infinitely strong evidence for it.
    return runs * np.log(max(rss, 1e-20) / runs) + penalty(runs, parameters)


def penalty(runs: int, parameters: int) -> float:
    """What AICc adds for the parameters; infinite where there are too few runs for it."""
    k = parameters + 1
    if runs - k - 1 <= 0:
        return np.inf
    return 2 * k + 2 * k * (k + 1) / (runs - k - 1)
