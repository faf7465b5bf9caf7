"""L(N, D) = E + A N^-alpha + B D^-beta through the runs of one architecture, fitted and tested.

The main fit is least squares on log loss; Huber's loss with delta = 1e-3 (Hoffmann et al. 2022,
section 3.3) is given for comparison. Intervals come from the profile likelihood
(`fitting.surface.region`), the noise from seeds and misfit (`fitting.surface.noise`), and
predictions are widened for drift of the form (`fitting.surface.tangent`). Where the runs cannot
tell the two terms apart, the reason is given in place of the exponents.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fitting.law.intervals import Interval
from fitting.law.newton import minimise, power_terms
from fitting.law.power_law import Array
from fitting.law.verdict import Verdict
from fitting.surface.fit import Surface, fit_surface
from fitting.surface.held_out import HeldOutRuns, fittable, hold_out, predict, surface_noise
from fitting.surface.isoflop import Frontier, fit_frontier
from fitting.surface.noise import Noise
from fitting.surface.optimum import Optimum, disagreement, optimum, round_budgets
from fitting.surface.region import Region, nothing, region
from fitting.surface.tangent import condition, outlier
from fitting.surface.verdict import judge, refusal

SIX = 6.0
"""FLOPs per parameter and token (Kaplan et al. 2020, section 2.1)."""
SIX_WITHIN = 0.05
OUTLIER_LEVEL = 0.005


@dataclass(frozen=True)
class RunInfluence:
    """The run that moves an exponent the most, in half widths of the exponent's interval."""

    n: float
    d: float
    loss: float
    alpha: float
    beta: float
    """The exponents without the run."""
    shift: float
    apart: bool
    """Whether the run is also an outlier."""


@dataclass(frozen=True)
class SurfaceLaw:
    """A surface with its intervals (95 %), tests and verdict. Losses in nats per token."""

    surface: Surface
    """Least squares on log loss; its numbers mean nothing where `identified` is False."""
    huber: Surface
    identified: bool
    noise: Noise
    region: Region
    A: Interval
    B: Interval
    E: Interval
    """Includes the sampling error of the validation set, where it was recorded."""
    alpha: Interval
    beta: Interval
    optimal_exponent: Interval
    """Interval of beta / (alpha + beta): N_opt grows as C to this power."""
    condition: float
    """Condition number of the Jacobian with columns of unit length."""
    flops: Array
    """(runs,) training compute; k N D where it is not known."""
    per_token: float
    """k of C = k N D: 6, or the average of the recorded compute."""
    notes: tuple[str, ...]
    optima: tuple[Optimum, ...]
    """Best sizes at round computes; none where the exponents are not identified."""
    frontier: Frontier
    """Minima of parabolas, for comparison."""
    held_out: HeldOutRuns | None
    alpha_without: Array
    beta_without: Array
    """(runs,) the exponents without each run."""
    influence: RunInfluence | None
    verdict: Verdict

    @property
    def word(self) -> str:
        """Supported, weak or not supported."""
        return self.verdict.word

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for the word, the gravest first."""
        return self.verdict.reasons

    def headline(self) -> str:
        """The law in one line; "no L(N, D)" where its exponents are not identified."""
        if not self.identified:
            return "no L(N, D)"
        s = self.surface
        return f"L(N, D) = {s.E:.3g} + {s.A:.3g} N^-{s.alpha:.3g} + {s.B:.3g} D^-{s.beta:.3g}"

    def residuals(self) -> Array:
        """(runs,) log loss less the surface."""
        return np.log(self.surface.loss / self.surface.predict(self.surface.n, self.surface.d))

    def prediction(self, n: float, d: float, *, runs: int = 1) -> Interval:
        """95 % interval of the mean loss of `runs` new runs with `n` parameters and `d` tokens."""
        low, high = predict(self.surface, self.noise, [n], [d], runs=runs)
        return Interval(float(low[0]), float(high[0]))

    def disagreement(self) -> str:
        """How the parabolas differ at the largest compute listed; "" where there are none."""
        return disagreement(self.optima[-1]) if self.optima else ""


def surface_law(runs: pd.DataFrame) -> SurfaceLaw | None:
    """The law of `runs`: columns n_params, tokens, flops, val_loss and val_loss_se.

    Runs without tokens are left out. None for fewer than eight runs, three sizes, three budgets or
    six cells, which are too few for a surface.
    """
    runs = runs[(runs["tokens"] > 0) & (runs["n_params"] > 0) & (runs["val_loss"] > 0)]
    n, d, loss = (runs[name].to_numpy(float) for name in ("n_params", "tokens", "val_loss"))
    if not fittable(n, d):
        return None
    surface = fit_surface(n, d, loss, delta=None)
    huber = fit_surface(n, d, loss)
    noise = surface_noise(surface)
    found = region(surface, noise.excess())
    why = refusal(surface, found)
    if why:
        found = nothing(found)
    flops, per_token, notes = _compute(runs)
    frontier = fit_frontier(n, flops, loss, per_token=per_token)
    optima = tuple(
        optimum(surface, found, frontier, budget, float(flops.max()), per_token)
        for budget in (() if why else round_budgets(flops))
    )
    held_out = None if why else hold_out(n, d, flops, loss)
    without = np.full((2, len(n)), np.nan) if why else _leave_one_out(surface)
    influence = None if why else _influence(surface, found, without[0], without[1])
    return SurfaceLaw(
        surface,
        huber,
        not why,
        noise,
        found,
        found.scale_interval(0),
        found.scale_interval(1),
        _with_validation(found.floor_interval(), runs),
        found.alpha_interval(),
        found.beta_interval(),
        found.optimal_exponent_interval(),
        condition(surface),
        flops,
        per_token,
        notes,
        optima,
        frontier,
        held_out,
        without[0],
        without[1],
        influence,
        judge(surface, huber, noise, found, held_out, why),
    )


def _compute(runs: pd.DataFrame) -> tuple[Array, float, tuple[str, ...]]:
    """Compute (runs,), k of C = k N D, and notes on them."""
    product = (runs["n_params"] * runs["tokens"]).to_numpy(float)
    if not (runs["flops"] > 0).all():
        return SIX * product, SIX, ("Compute was not recorded for every run; C = 6 N D is used.",)
    flops = runs["flops"].to_numpy(float)
    each = flops / product
    k = float(np.exp(np.log(each).mean()))
    if abs(np.log(k / SIX)) <= SIX_WITHIN:
        return flops, SIX, ()
    note = (
        f"The recorded compute is {k:.3g} N D on average ({each.min():.3g} to {each.max():.3g}), "
        f"not 6 N D: optima are for C = {k:.3g} N D."
    )
    return flops, k, (note,)


def _with_validation(floor: Interval, runs: pd.DataFrame) -> Interval:
    """E's interval, widened by the validation set's error, which all runs share."""
    error = runs["val_loss_se"].mean() if "val_loss_se" in runs else float("nan")
    if not error > 0:
        return floor
    middle = (floor.low + floor.high) / 2
    half = float(np.hypot((floor.high - floor.low) / 2, 1.96 * error))
    return Interval(max(0.0, middle - half), middle + half)


def _leave_one_out(surface: Surface) -> Array:
    """(2, runs) alpha and beta without each run in turn."""
    log_n, log_d = np.log(surface.n), np.log(surface.d)
    x, y = log_n - log_n.mean(), log_d - log_d.mean()
    scales = [
        np.log(surface.A) - surface.alpha * log_n.mean(),
        np.log(surface.B) - surface.beta * log_d.mean(),
        np.log(surface.E),
    ]
    runs = len(x)
    start = np.tile([*scales, surface.alpha, surface.beta], (runs, 1))
    weight = 1 - np.eye(runs)
    found = minimise(power_terms([x, y]), surface.loss, start, weight=weight, tolerance=1e-6)
    return found.theta[:, 3:].T


def _influence(surface: Surface, found: Region, alpha: Array, beta: Array) -> RunInfluence:
    intervals = found.alpha_interval(), found.beta_interval()
    half = [(each.high - each.low) / 2 for each in intervals]
    shift = np.maximum(
        np.abs(alpha - surface.alpha) / half[0], np.abs(beta - surface.beta) / half[1]
    )
    worst = int(np.argmax(shift))
    apart, p = outlier(surface)
    return RunInfluence(
        float(surface.n[worst]),
        float(surface.d[worst]),
        float(surface.loss[worst]),
        float(alpha[worst]),
        float(beta[worst]),
        float(shift[worst]),
        apart == worst and p < OUTLIER_LEVEL,
    )
