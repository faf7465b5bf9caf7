"""Other curves through the same losses, judged by sizes that they have not seen.

    law           c + a N^-alpha                        3 parameters
    power         a N^-alpha                            2
    logarithm     p - q log N                           2
    broken        a N^-s0, later N^-s1                  4: Caballero et al. (2023), one break
    two powers    a N^-alpha + b N^-beta                4: the law, if c were a slow power
    saturating    c + (L0 - c) / (1 + (N / N0)^alpha)   4: Alabdulmohsin et al. (2022), M4

A curve with more parameters always fits better, so a fit says nothing: each form is fitted without
the largest size, then without the two largest, and asked for them. Its error counts as noise where
the noise of the runs, carried through the fit, makes an error of that size in 95 of 100 sweeps.

On 5 to 8 sizes neither published form can be had whole. Of the broken law's six parameters the
floor is left out (the second slope does its work) and the break is one decade wide; of M4 the
exponent of L0 - L is held at 1, which leaves the logistic curve in log N.

Given its nonlinear parameters each form is linear in the rest, with signs that let the loss only
fall: these are solved exactly, and the nonlinear ones are searched on a grid that is narrowed
around its best cell. So no start has to be guessed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from scipy.stats import t as t_distribution

from fitting.groups import SAME_SIZE, groups
from fitting.intervals import Interval
from fitting.power_law import ALPHA_MAX, ALPHA_MIN, Array

LEVEL = 0.95
HELD_OUT = (1, 2)
"""How many of the largest sizes are held out, in turn."""
TENFOLD = 10
BREAK_WIDTH = np.log(10) / (2 * np.log(9))
"""Scale, in log N, of a break whose slope makes 10 to 90 % of its change within a decade."""
LEAST_SCALE = np.log(1e3)
"""How far below the smallest size, in log N, the N0 of the saturating form is sought: beyond, its
curve is the law."""
GRID = {0: 1, 1: 41, 2: 15}
"""Points an axis of the search, by the number of nonlinear parameters."""
ROUNDS = 5
RESOLUTION = 1e-5
"""Relative error of a prediction that the search itself may leave: no less counts as a miss."""


@dataclass(frozen=True)
class Form:
    """A family of curves that is linear in all parameters but a few."""

    name: str
    n_parameters: int
    in_log: bool
    """Whether it is log L that is linear, and not L."""
    basis: Callable[[Array, Array], Array]
    """x = log N less its mean (sizes,), theta (k, nonlinear) -> (k, sizes, linear)."""
    box: Callable[[Array], list[tuple[float, float]]]
    """Range of each nonlinear parameter, for sizes at x."""
    unsigned: tuple[int, ...]
    """Linear parameters of either sign; the others are at least 0."""


@dataclass(frozen=True)
class Curve:
    """A form with its parameters."""

    form: Form
    origin: float
    """Mean of log N."""
    theta: Array
    coefficients: Array
    moving: tuple[int, ...]
    """Nonlinear parameters that are not at an end of their range."""
    rss: float
    """Weighted squares of the relative errors."""

    def predict(self, n: ArrayLike) -> Array:
        """Loss at the sizes `n` (sizes,), nats per token; no less than 0."""
        return self._at(np.atleast_1d(np.asarray(n, dtype=float)), self.theta)

    def jacobian(self, n: ArrayLike) -> Array:
        """(sizes, free parameters) d log L by each parameter that no bound holds."""
        n = np.atleast_1d(np.asarray(n, dtype=float))
        basis = self.form.basis(np.log(n) - self.origin, self.theta[None])[0]
        scale = 1.0 if self.form.in_log else np.maximum(self.predict(n), 1e-12)[:, None]
        free = [k for k, c in enumerate(self.coefficients) if c != 0 or k in self.form.unsigned]
        columns = [basis[:, free] / scale]
        for k in self.moving:
            step = np.zeros_like(self.theta)
            step[k] = 1e-5
            ends = [np.maximum(self._at(n, self.theta + s * step), 1e-12) for s in (1, -1)]
            columns.append(np.log(ends[0] / ends[1])[:, None] / 2e-5)
        return np.concatenate(columns, axis=1)

    def _at(self, n: Array, theta: Array) -> Array:
        value = self.form.basis(np.log(n) - self.origin, theta[None])[0] @ self.coefficients
        return np.exp(value) if self.form.in_log else np.maximum(value, 0.0)


@dataclass(frozen=True)
class Trial:
    """Sizes that a form was not fitted to, as it predicts them."""

    n: Array
    """(held out,) sizes."""
    error: Array
    """(held out,) predicted over observed, minus one."""
    reach: Array
    """(held out,) the largest error that is noise."""

    @property
    def within(self) -> bool:
        """Whether each error is noise."""
        return bool(np.all(np.abs(self.error) <= self.reach))


@dataclass(frozen=True)
class Judged:
    """One form, and how it did."""

    name: str
    n_parameters: int
    trials: tuple[Trial, ...]
    """Without the largest size, without the two largest; empty where too few sizes are left."""
    tenfold: float
    """Loss at ten times the largest size, nats per token, by all sizes; NaN where not tried."""
    tenfold_reach: float
    """Relative error of it that noise explains, at 95 %, if the form is right."""

    @property
    def survives(self) -> bool:
        """Whether it was tried and no error is more than noise."""
        return bool(self.trials) and all(trial.within for trial in self.trials)

    @property
    def miss(self) -> float:
        """Error of the largest size in absolute value; infinite where it was not tried."""
        return float(abs(self.trials[0].error[0])) if self.trials else np.inf


@dataclass(frozen=True)
class Forms:
    """Every form, the one that came nearest to the largest size first."""

    judged: tuple[Judged, ...]
    noise: float
    """Standard deviation of a run, relative to its loss, by which the errors are judged."""

    @property
    def survivors(self) -> tuple[Judged, ...]:
        """Forms whose every error is noise."""
        return tuple(form for form in self.judged if form.survives)

    @property
    def tenfold_range(self) -> Interval | None:
        """Least and greatest loss at ten times the largest size, over the survivors."""
        found = [form.tenfold for form in self.survivors]
        return Interval(min(found), max(found)) if found else None

    @property
    def tenfold_allowed(self) -> Interval | None:
        """The same with what the noise lets each of them be."""
        ends = [
            (form.tenfold * np.exp(sign * form.tenfold_reach))
            for form in self.survivors
            for sign in (-1, 1)
        ]
        return Interval(float(min(ends)), float(max(ends))) if ends else None

    def sentence(self) -> str:
        """What the held-out sizes say."""
        tried = {form.name: form for form in self.judged if form.trials}
        if "law" not in tried or len(tried) < 2:
            return "Too few sizes to ask another form of curve for the largest."
        law, alive = tried["law"], [form.name for form in self.survivors if form.name != "law"]
        miss = f"{100 * law.miss:.2g} %"
        if law.survives and alive:
            return (
                f"The law, fitted to the smaller sizes, misses the largest by {miss}, which is "
                f"noise. So are the errors of {_listed(alive)}: none is better than the law."
            )
        if law.survives:
            return (
                f"The law, fitted to the smaller sizes, misses the largest by {miss}, which is "
                "noise. Every other form misses what was held out by more."
            )
        if alive:
            return (
                f"The law misses what was held out by more than noise (the largest by {miss}); "
                f"{_listed(alive)} did not: the losses may follow another curve."
            )
        return "No form predicts the held-out sizes within the noise."

    def tenfold_sentence(self) -> str:
        """What the survivors say of ten times the largest size; "" where there are none."""
        if self.tenfold_range is None:
            return ""
        return (
            "At ten times the largest the forms that do no worse than noise lie between "
            f"{self.tenfold_range.low:.4g} and {self.tenfold_range.high:.4g}; noise allows them "
            f"{self.tenfold_allowed}."
        )


def judge_forms(n: ArrayLike, loss: ArrayLike) -> Forms:
    """Try every form on the runs: sizes and losses, both (runs,), finite and above 0.

    A form is tried where it has fewer parameters than sizes are left.
    """
    n, loss = np.asarray(n, dtype=float), np.asarray(loss, dtype=float)
    group = groups(n, SAME_SIZE)
    counts = np.bincount(group).astype(float)
    sizes, mean = (np.exp(np.bincount(group, np.log(v)) / counts) for v in (n, loss))
    affordable = [form for form in FORMS if form.n_parameters < len(sizes)]
    whole = {form.name: fit_form(form, sizes, mean, counts) for form in affordable}
    noise, dof = _noise(loss / mean[group], whole, len(sizes))
    t = float(t_distribution.ppf((1 + LEVEL) / 2, dof)) if dof else np.inf
    judged = []
    for form in FORMS:
        trials = tuple(
            _trial(form, sizes, mean, counts, len(sizes) - held, noise, t)
            for held in HELD_OUT
            if form.n_parameters < len(sizes) - held
        )
        far, reach = np.nan, np.nan
        if trials:
            curve, beyond = whole[form.name], TENFOLD * sizes[-1:]
            far = float(curve.predict(beyond)[0])
            reach = t * noise * float(np.sqrt(_carried(curve, sizes, counts, beyond)[0]))
        judged.append(Judged(form.name, form.n_parameters, trials, far, reach))
    return Forms(tuple(sorted(judged, key=lambda form: form.miss)), noise)


def fit_form(form: Form, n: Array, loss: Array, weight: ArrayLike) -> Curve:
    """Least squares of the relative error, `weight` runs to each of the sizes; all (sizes,)."""
    origin = float(np.log(n).mean())
    x, weight = np.log(n) - origin, np.asarray(weight, dtype=float)
    y, precision = (np.log(loss), weight) if form.in_log else (loss, weight / loss**2)
    box = np.array(form.box(x)).reshape(-1, 2)
    low, high = box[:, 0], box[:, 1]
    points = GRID[len(box)]
    for _ in range(ROUNDS):
        axes = [np.linspace(*ends, points) for ends in zip(low, high)]
        theta = np.array(list(product(*axes)))
        coefficients, rss = _solve(form, form.basis(x, theta), y, precision)
        best = int(np.argmin(rss))
        step = (high - low) / max(points - 1, 1)
        low = np.maximum(theta[best] - step, box[:, 0])
        high = np.minimum(theta[best] + step, box[:, 1])
    edge = 1e-6 * (box[:, 1] - box[:, 0])
    inside = (theta[best] > box[:, 0] + edge) & (theta[best] < box[:, 1] - edge)
    # What multiplies nothing cannot move.
    falls = any(coefficients[best][k] != 0 for k in range(1, coefficients.shape[1]))
    moving = tuple(int(k) for k in np.flatnonzero(inside)) if falls else ()
    return Curve(form, origin, theta[best], coefficients[best], moving, float(rss[best]))


def _solve(form: Form, basis: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Coefficients (k, linear) and squares (k,) at each of k nonlinear points.

    Signs are kept by trying every choice of the coefficients that are not 0: there are two at most
    that a sign can hold.
    """
    root, count = np.sqrt(weight), basis.shape[2]
    held = [k for k in range(count) if k not in form.unsigned]
    best, least = np.zeros((len(basis), count)), np.full(len(basis), np.inf)
    for size in range(len(held) + 1):
        for some in combinations(held, size):
            kept = sorted((*form.unsigned, *some))
            if not kept:
                continue
            columns = basis[:, :, kept] * root[:, None]
            found = np.linalg.pinv(columns, rcond=1e-12) @ (y * root)
            rss = (((columns @ found[..., None])[..., 0] - y * root) ** 2).sum(axis=1)
            signed = [kept.index(k) for k in some]
            better = (found[:, signed] >= 0).all(axis=1) & (rss < least)
            least = np.where(better, rss, least)
            padded = np.zeros_like(best)
            padded[:, kept] = found
            best = np.where(better[:, None], padded, best)
    return best, least


def _trial(
    form: Form, n: Array, mean: Array, counts: Array, kept: int, noise: float, t: float
) -> Trial:
    """Fit the first `kept` sizes and ask for the rest."""
    curve = fit_form(form, n[:kept], mean[:kept], counts[:kept])
    carried = _carried(curve, n[:kept], counts[:kept], n[kept:])
    error = curve.predict(n[kept:]) / mean[kept:] - 1
    reach = t * noise * np.sqrt(carried + 1 / counts[kept:])
    return Trial(n[kept:], error, np.maximum(reach, RESOLUTION))


def _carried(curve: Curve, n: Array, counts: Array, at: Array) -> Array:
    """Variance of log L at the sizes `at` (m,), for unit noise of the runs that `curve` was fitted
    to: `counts` runs of each of the sizes n."""
    inner, outer = curve.jacobian(n), curve.jacobian(at)
    # Scaled to length 1: what remains small is what the sizes cannot tell apart.
    length = np.maximum(np.linalg.norm(inner, axis=0), 1e-300)
    spread = np.linalg.pinv(inner / length * np.sqrt(counts)[:, None], rcond=1e-9)
    return ((outer / length @ spread) ** 2).sum(axis=1)


def _noise(ratio: Array, curves: dict[str, Curve], sizes: int) -> tuple[float, int]:
    """Noise of a run and its degrees of freedom: as the runs of a size differ, or as sizes scatter
    about the form that fits them best, whichever is larger.

    Seeds share what a size has of its own, a rate that suits it less or a shape; so they can only
    tell the least that the noise may be.
    """
    within, repeats = float(np.sum(np.log(ratio) ** 2)), len(ratio) - sizes
    about = [((within + c.rss) / d, d) for c in curves.values() if (d := _dof(c, len(ratio))) > 0]
    if not about:
        return np.nan, 0
    variance, dof = min(about)
    return float(np.sqrt(max(variance, within / repeats if repeats else 0.0))), dof


def _dof(curve: Curve, runs: int) -> int:
    return runs - curve.form.n_parameters


def _listed(names: list[str]) -> str:
    shown = [PHRASES[name] for name in names]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _law(x: Array, theta: Array) -> Array:
    falling = np.exp(-np.exp(theta) * x)
    return np.stack([np.ones_like(falling), falling], axis=2)


def _two_powers(x: Array, theta: Array) -> Array:
    return np.exp(-np.exp(theta)[:, None, ::-1] * x[:, None])


def _straight(x: Array, theta: Array) -> Array:
    return np.stack([np.ones_like(x), -x], axis=1)[None]


def _broken(x: Array, theta: Array) -> Array:
    after = BREAK_WIDTH * np.logaddexp(0.0, (x - theta) / BREAK_WIDTH)
    return np.stack([np.ones_like(after), after - x, -after], axis=2)


def _saturating(x: Array, theta: Array) -> Array:
    falling = expit(-np.exp(theta[:, :1]) * (x - theta[:, 1:]))
    return np.stack([np.ones_like(falling), falling], axis=2)


LOG_ALPHA = (float(np.log(ALPHA_MIN)), float(np.log(ALPHA_MAX)))
FAST, SLOW = (float(np.log(0.05)), LOG_ALPHA[1]), (LOG_ALPHA[0], float(np.log(0.5)))
FORMS = (
    Form("law", 3, False, _law, lambda x: [LOG_ALPHA], ()),
    Form("power", 2, True, _straight, lambda x: [], (0,)),
    Form("logarithm", 2, False, _straight, lambda x: [], (0,)),
    Form("broken", 4, True, _broken, lambda x: [(float(x[1]), float(x[-2]))], (0,)),
    Form("two powers", 4, False, _two_powers, lambda x: [FAST, SLOW], ()),
    Form(
        "saturating",
        4,
        False,
        _saturating,
        lambda x: [LOG_ALPHA, (float(x[0] - LEAST_SCALE), float(x[-1]))],
        (),
    ),
)
PHRASES = {
    "law": "the law",
    "power": "a power law without c",
    "logarithm": "a logarithm",
    "broken": "a broken power law",
    "two powers": "a sum of two powers",
    "saturating": "a saturating curve",
}
