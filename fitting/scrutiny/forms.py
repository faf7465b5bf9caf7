"""Forms of curve for a loss that falls with N, and the fit of each.

    law           c + a N^-alpha                        3 parameters
    power         a N^-alpha                            2
    logarithm     p - q log N                           2
    broken        a N^-s0, later N^-s1                  4: Caballero et al. (2023), one break
    two powers    a N^-alpha + b N^-beta                4: the law with a slow power for c
    saturating    c + (L0 - c) / (1 + (N / N0)^alpha)   4: Alabdulmohsin et al. (2022), M4

With 5 to 8 sizes neither published form can be fitted in full. The broken law has no floor here
(the second slope does its work) and a break one decade wide; in M4 the exponent of L0 - L is fixed
at 1, which leaves the logistic curve in log N.

Given its nonlinear parameters, each form is linear in the rest, with signs under which the loss can
only fall. The linear ones are solved exactly, and the nonlinear ones searched on a grid that is
narrowed around its best cell, so no starting point has to be guessed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from fitting.law.power_law import ALPHA_MAX, ALPHA_MIN, Array

BREAK_WIDTH = np.log(10) / (2 * np.log(9))
"""Scale, in log N, of a break whose slope makes 10 to 90 % of its change in one decade."""
LEAST_SCALE = np.log(1e3)
"""How far below the smallest size, in log N, the saturating form's N0 is searched for: beyond that
its curve is the law."""
GRID = {0: 1, 1: 41, 2: 15}
"""Grid points per axis, by the number of nonlinear parameters."""
ROUNDS = 5


@dataclass(frozen=True)
class Form:
    """A family of curves that is linear in all but a few parameters."""

    name: str
    n_parameters: int
    in_log: bool
    """Whether log L is linear in the parameters, rather than L."""
    basis: Callable[[Array, Array], Array]
    """Maps x = log N less its mean (sizes,) and theta (k, nonlinear) to (k, sizes, linear)."""
    box: Callable[[Array], list[tuple[float, float]]]
    """Range of each nonlinear parameter, for sizes at x."""
    unsigned: tuple[int, ...]
    """Linear parameters that may have either sign; the others are at least 0."""


@dataclass(frozen=True)
class Curve:
    """A form with fitted parameters."""

    form: Form
    origin: float
    """Mean of log N."""
    theta: Array
    coefficients: Array
    moving: tuple[int, ...]
    """Indices of the nonlinear parameters that are not at an end of their range."""
    rss: float
    """Weighted sum of squared relative errors."""

    def predict(self, n: ArrayLike) -> Array:
        """Loss at the sizes `n` (sizes,), nats per token, at least 0."""
        return self._at(np.atleast_1d(np.asarray(n, dtype=float)), self.theta)

    def jacobian(self, n: ArrayLike) -> Array:
        """(sizes, free parameters) d log L by each parameter that is not at a bound."""
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

    def variance(self, n: Array, counts: Array, at: Array) -> Array:
        """(m,) variance of log L at the sizes `at` (m,), for a curve fitted to `counts` runs of
        unit noise at each of the sizes `n`."""
        inner, outer = self.jacobian(n), self.jacobian(at)
        length = np.linalg.norm(inner, axis=0)
        # A parameter below this moves nothing: what is left is rounding.
        moved = length > 1e-8
        inner, outer, length = inner[:, moved], outer[:, moved], length[moved]
        # With columns of length 1, small singular values are what the sizes cannot tell apart.
        spread = np.linalg.pinv(inner / length * np.sqrt(counts)[:, None], rcond=1e-9)
        return ((outer / length @ spread) ** 2).sum(axis=1)

    def _at(self, n: Array, theta: Array) -> Array:
        value = self.form.basis(np.log(n) - self.origin, theta[None])[0] @ self.coefficients
        return np.exp(value) if self.form.in_log else np.maximum(value, 0.0)


def fit_form(form: Form, n: Array, loss: Array, weight: ArrayLike) -> Curve:
    """Least squares of the relative error, with `weight` runs at each size; all (sizes,)."""
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
    moving = tuple(int(k) for k in np.flatnonzero(inside))
    return Curve(form, origin, theta[best], coefficients[best], moving, float(rss[best]))


def _solve(form: Form, basis: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Coefficients (k, linear) and sums of squares (k,) at each of k nonlinear points.

    Signs are enforced by trying every subset of nonzero coefficients: at most two are
    constrained.
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
