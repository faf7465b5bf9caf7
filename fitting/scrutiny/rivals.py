"""Other curves through the same losses, judged on held-out sizes.

A curve with more parameters always fits better, so the quality of a fit says nothing. Each form is
fitted without the largest size, then without the two largest, and predicts them. Its error counts
as noise if it lies within what the noise of the runs, carried through the fit, makes in 95 of 100
sweeps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as t_distribution

from fitting.law.extrapolation import TENFOLD
from fitting.law.intervals import Interval
from fitting.law.power_law import Array
from fitting.runs.groups import SAME_SIZE, groups
from fitting.scrutiny.forms import FORMS, Curve, Form, fit_form

LEVEL = 0.95
HELD_OUT = (1, 2)
"""How many of the largest sizes are held out, in turn."""
RESOLUTION = 1e-5
"""Relative error that the search itself may leave in a prediction: a smaller one is no miss."""


@dataclass(frozen=True)
class Trial:
    """A form's prediction of sizes that it was not fitted to."""

    n: Array
    """(held out,) sizes."""
    error: Array
    """(held out,) predicted over observed, minus one."""
    reach: Array
    """(held out,) the largest error that noise explains."""

    @property
    def within(self) -> bool:
        """Whether noise explains every error."""
        return bool(np.all(np.abs(self.error) <= self.reach))


@dataclass(frozen=True)
class Judged:
    """One form and its results."""

    name: str
    n_parameters: int
    trials: tuple[Trial, ...]
    """Trials without the largest size and without the two largest; empty with too few sizes."""
    tenfold: float
    """Loss at ten times the largest size, fitted to all sizes, nats per token; NaN if not tried."""
    tenfold_reach: float
    """Relative error of `tenfold` that noise explains at 95 %, if the form is right."""

    @property
    def survives(self) -> bool:
        """Whether the form was tried and noise explains all its errors."""
        return bool(self.trials) and all(trial.within for trial in self.trials)

    @property
    def miss(self) -> float:
        """Absolute relative error at the largest size; infinite where the form was not tried."""
        return float(abs(self.trials[0].error[0])) if self.trials else np.inf


@dataclass(frozen=True)
class Forms:
    """Every form, the one that came nearest to the largest size first."""

    judged: tuple[Judged, ...]
    noise: float
    """Standard deviation of a run relative to its loss, against which errors are judged."""

    @property
    def survivors(self) -> tuple[Judged, ...]:
        """The forms whose errors noise explains."""
        return tuple(form for form in self.judged if form.survives)

    @property
    def tenfold_range(self) -> Interval | None:
        """Range of the survivors' losses at ten times the largest size."""
        found = [form.tenfold for form in self.survivors]
        return Interval(min(found), max(found)) if found else None

    @property
    def tenfold_allowed(self) -> Interval | None:
        """The same range, widened by the noise of each survivor."""
        ends = [
            (form.tenfold * np.exp(sign * form.tenfold_reach))
            for form in self.survivors
            for sign in (-1, 1)
        ]
        return Interval(float(min(ends)), float(max(ends))) if ends else None

    def sentence(self) -> str:
        """The outcome on the held-out sizes."""
        tried = {form.name: form for form in self.judged if form.trials}
        if "law" not in tried or len(tried) < 2:
            return "Too few sizes to test other forms of curve on the largest."
        law, alive = tried["law"], [form.name for form in self.survivors if form.name != "law"]
        miss = f"{100 * law.miss:.2g} %"
        if law.survives and alive:
            return (
                f"The law, fitted to the smaller sizes, misses the largest by {miss}, which is "
                f"within the noise. So are the errors of {_listed(alive)}: none is shown to be "
                "better than the law."
            )
        if law.survives:
            return (
                f"The law, fitted to the smaller sizes, misses the largest by {miss}, which is "
                "within the noise. Every other form misses the held-out sizes by more than noise."
            )
        if alive:
            return (
                f"The law misses the held-out sizes by more than noise (the largest by {miss}); "
                f"{_listed(alive)} did not: the losses may follow another curve."
            )
        return "No form predicts the held-out sizes within the noise."

    def tenfold_sentence(self) -> str:
        """What the survivors predict at ten times the largest size; "" where there are none."""
        if self.tenfold_range is None:
            return ""
        return (
            "At ten times the largest size, the forms whose errors are within the noise lie "
            f"between {self.tenfold_range.low:.4g} and {self.tenfold_range.high:.4g}; "
            f"with their noise, in {self.tenfold_allowed}."
        )


def judge_forms(n: ArrayLike, loss: ArrayLike) -> Forms:
    """Try every form on the runs: sizes and losses, both (runs,), finite and above 0.

    A form is tried where it has fewer parameters than there are sizes left to fit.
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
            reach = t * noise * float(np.sqrt(curve.variance(sizes, counts, beyond)[0]))
        judged.append(Judged(form.name, form.n_parameters, trials, far, reach))
    return Forms(tuple(sorted(judged, key=lambda form: form.miss)), noise)


def _trial(
    form: Form, n: Array, mean: Array, counts: Array, kept: int, noise: float, t: float
) -> Trial:
    """Fit the first `kept` sizes and predict the rest."""
    curve = fit_form(form, n[:kept], mean[:kept], counts[:kept])
    carried = curve.variance(n[:kept], counts[:kept], n[kept:])
    error = curve.predict(n[kept:]) / mean[kept:] - 1
    reach = t * noise * np.sqrt(carried + 1 / counts[kept:])
    return Trial(n[kept:], error, np.maximum(reach, RESOLUTION))


def _noise(ratio: Array, curves: dict[str, Curve], sizes: int) -> tuple[float, int]:
    """Noise of a run and its degrees of freedom: from the spread of the runs of a size, or from
    the scatter of sizes about the best-fitting form, whichever is larger.

    The seeds of a size share its luck, such as its shape or a less suitable learning rate, so they
    give only a lower bound on the noise.
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


PHRASES = {
    "law": "the law",
    "power": "a power law without c",
    "logarithm": "a logarithm",
    "broken": "a broken power law",
    "two powers": "a sum of two powers",
    "saturating": "a saturating curve",
}
