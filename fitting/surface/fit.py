"""L(N, D) = E + A N^-alpha + B D^-beta: loss by parameters and training tokens.

The parametric form of Hoffmann et al. (2022, section 3.3), fitted to log loss with Huber's rho at
delta = 1e-3; the objective is the sum over runs, not the mean, whose small values make optimisers
stop early (Besiroglu et al. 2024, section 3). Starts come from a grid of exponents at which the
three coefficients are solved by non-negative least squares.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar, nnls

from fitting.law.intervals import Interval
from fitting.law.newton import minimise, power_terms
from fitting.law.power_law import Array, FitError, Residual

START_EXPONENTS = np.geomspace(0.08, 1.5, 9)
EXPONENT_MIN, EXPONENT_MAX = 5e-3, 4.0
"""Beyond these bounds an exponent means nothing: its term is constant, or gone within one size."""
MIDDLE = (EXPONENT_MIN + EXPONENT_MAX) / 2
STARTS = 6
MIN_RUNS = 8
R_MIN, R_MAX = 0.1, 1000.0
CASES_FROM = 50
"""From this many runs on, the bootstrap resamples runs; below, it adds noise to the surface."""


@dataclass(frozen=True)
class Surface:
    """A fitted L(N, D)."""

    A: float
    B: float
    E: float
    alpha: float
    beta: float
    n: Array
    d: Array
    """(runs,) tokens; effective tokens where data were repeated."""
    loss: Array
    objective: float
    """Sum over runs of rho(residual); rho is half the square, or Huber's."""
    gradient: float
    """Relative gradient where the fit ended: 0 at a minimum."""
    residual: Residual
    delta: float | None

    @property
    def bounded(self) -> bool:
        """Whether both exponents lie within the bounds of the search."""
        return all(EXPONENT_MIN < v < EXPONENT_MAX for v in (self.alpha, self.beta))

    @property
    def optimal_exponent(self) -> float:
        """N_opt grows as C to this power, beta / (alpha + beta)."""
        return self.beta / (self.alpha + self.beta)

    def predict(self, n: ArrayLike, d: ArrayLike) -> Array:
        """Loss at sizes `n` and tokens `d`, broadcast against each other."""
        n, d = _floats(n), _floats(d)
        return self.E + self.A * n**-self.alpha + self.B * d**-self.beta

    def optimal_n(self, flops: ArrayLike, per_token: float = 6.0) -> Array:
        """The size of least loss at a compute of C = per_token N D.

        Hoffmann et al. (2022), equation 4.
        """
        g = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        return g * (np.asarray(flops, dtype=float) / per_token) ** self.optimal_exponent


@dataclass(frozen=True)
class SurfaceDraws:
    """Bootstrap draws of a surface: 95 % percentile intervals and standard errors."""

    kind: Literal["cases", "noise"]
    draws: dict[str, Array]
    """(draws,) of A, B, E, alpha, beta and a = beta / (alpha + beta)."""

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """Percentile interval."""
        low, high = np.quantile(self.draws[name], [(1 - level) / 2, (1 + level) / 2])
        return Interval(float(low), float(high))

    def standard_error(self, name: str) -> float:
        """Standard deviation over the draws."""
        return float(self.draws[name].std(ddof=1))


@dataclass(frozen=True)
class RepeatedData:
    """A surface in effective tokens: each further pass over the same data is worth less."""

    surface: Surface
    r_star: float
    """Repetitions after which another pass is worth 1/e of fresh data; large means no loss."""
    at_bound: bool
    """Whether R* ran to an end of its search, so that the runs cannot determine it."""


def fit_surface(
    n: ArrayLike,
    d: ArrayLike,
    loss: ArrayLike,
    *,
    residual: Residual = "log",
    delta: float | None = 1e-3,
) -> Surface:
    """Fit L(N, D) to runs (runs,): `n` sizes, `d` tokens, `loss` nats per token.

    Least squares if `delta` is None. FitError for fewer than eight runs, or where every run has
    the same size or the same number of tokens.
    """
    n, d, loss = _floats(n), _floats(d), _floats(loss)
    _check(n, d, loss)
    centre_n, centre_d = np.log(n).mean(), np.log(d).mean()
    log_n, log_d = np.log(n) - centre_n, np.log(d) - centre_d
    design = power_terms([log_n, log_d])
    starts = _starts(log_n, log_d, loss)
    found = minimise(design, loss, starts, residual=residual, delta=delta)
    best = int(np.argmin(found.objective))
    if not np.all(np.abs(found.theta[best, 3:] - MIDDLE) < MIDDLE - EXPONENT_MIN):
        # An exponent ran away: the surface is the one at the bound, and `bounded` says so.
        held = _at_bounds(found.theta[best], log_n, log_d, loss)
        found = minimise(
            design, loss, held[None], residual=residual, delta=delta, tolerance=float("inf")
        )
        best = 0
    theta = _uncentred(found.theta, centre_n, centre_d)[best]
    A, B, E = np.exp(theta[:3])
    return Surface(
        float(A),
        float(B),
        float(E),
        float(theta[3]),
        float(theta[4]),
        n,
        d,
        loss,
        float(found.objective[best]),
        float(found.gradient[best]),
        residual,
        delta,
    )


def bootstrap(surface: Surface, draws: int = 1000, seed: int = 0) -> SurfaceDraws:
    """Refit `draws` resamples, all at once, from the surface itself.

    Many runs are resampled with replacement. A few must not be, for most resamples would miss a
    size; they get new normal noise about the surface instead.
    """
    rng = np.random.default_rng(seed)
    runs = len(surface.loss)
    centre_n, centre_d = np.log(surface.n).mean(), np.log(surface.d).mean()
    design = power_terms([np.log(surface.n) - centre_n, np.log(surface.d) - centre_d])
    theta = np.log([surface.A, surface.B, surface.E])
    theta = np.array([*theta, surface.alpha, surface.beta])
    theta[0] -= surface.alpha * centre_n
    theta[1] -= surface.beta * centre_d
    start = np.repeat(theta[None], draws, axis=0)
    loss, weight = surface.loss, None
    kind: Literal["cases", "noise"] = "cases" if runs >= CASES_FROM else "noise"
    if kind == "cases":
        weight = rng.multinomial(runs, np.full(runs, 1 / runs), size=draws).astype(float)
    else:
        fitted = surface.predict(surface.n, surface.d)
        noise = np.sqrt(np.sum(np.log(loss / fitted) ** 2) / (runs - 5))
        loss = fitted * np.exp(noise * rng.standard_normal((draws, runs)))
    found = minimise(
        design, loss, start, weight=weight, residual=surface.residual, delta=surface.delta
    )
    theta = _uncentred(found.theta, centre_n, centre_d)
    values = dict(zip(("A", "B", "E"), np.exp(theta[:, :3]).T))
    values |= {"alpha": theta[:, 3], "beta": theta[:, 4]}
    return SurfaceDraws(kind, values | {"a": theta[:, 4] / (theta[:, 3] + theta[:, 4])})


def effective_tokens(tokens: ArrayLike, unique: ArrayLike, r_star: float) -> Array:
    """D' = U + U R* (1 - exp(-R / R*)), R = D / U - 1 (Muennighoff et al. 2023, equation 5)."""
    tokens, unique = _floats(tokens), _floats(unique)
    unique = np.minimum(unique, tokens)
    repeats = tokens / unique - 1
    return unique + unique * r_star * -np.expm1(-repeats / r_star)


def fit_repeated(
    n: ArrayLike, tokens: ArrayLike, unique: ArrayLike, loss: ArrayLike
) -> RepeatedData:
    """Fit L(N, D') in effective tokens D'; R* is sought between R_MIN and R_MAX.

    FitError where no run saw its data more than once, for R* would then mean nothing.
    """
    tokens, unique = _floats(tokens), _floats(unique)
    if not np.any(tokens > unique):
        raise FitError("no run saw its data more than once; R* cannot be fitted")

    def at(log_r: float) -> Surface:
        return fit_surface(n, effective_tokens(tokens, unique, np.exp(log_r)), loss, delta=None)

    grid = np.linspace(np.log(R_MIN), np.log(R_MAX), 17)
    best = int(np.argmin([at(value).objective for value in grid]))
    found = minimize_scalar(
        lambda log_r: at(log_r).objective,
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]),
        method="bounded",
    )
    r_star = float(np.exp(found.x))
    return RepeatedData(at(found.x), r_star, not R_MIN * 1.05 < r_star < R_MAX / 1.05)


def _starts(log_n: Array, log_d: Array, loss: Array) -> Array:
    """(STARTS, 5) the best points of a grid of exponents, with the coefficients solved at each."""
    candidates = [
        _solved(alpha, beta, log_n, log_d, loss)
        for alpha in START_EXPONENTS
        for beta in START_EXPONENTS
    ]
    candidates.sort(key=lambda candidate: candidate[0])
    return np.array([theta for _, theta in candidates[:STARTS]])


def _solved(
    alpha: float, beta: float, log_n: Array, log_d: Array, loss: Array
) -> tuple[float, Array]:
    """Misfit and theta (5,) of the best A, B and E, above 0, at these exponents."""
    columns = np.stack([np.exp(-alpha * log_n), np.exp(-beta * log_d), np.ones_like(loss)])
    solution, misfit = nnls(columns.T / loss[:, None], np.ones_like(loss))
    logs = np.log(np.maximum(solution, 1e-3 * loss.min()))
    return float(misfit), np.array([*logs, alpha, beta])


def _at_bounds(theta: Array, log_n: Array, log_d: Array, loss: Array) -> Array:
    """Theta (5,) with the exponents clipped to their bounds and the coefficients solved again."""
    alpha, beta = np.clip(theta[3:], EXPONENT_MIN, EXPONENT_MAX)
    return _solved(float(alpha), float(beta), log_n, log_d, loss)[1]


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=float)


def _uncentred(theta: Array, centre_n: float, centre_d: float) -> Array:
    theta = theta.copy()
    theta[:, 0] += theta[:, 3] * centre_n
    theta[:, 1] += theta[:, 4] * centre_d
    return theta


def _check(n: Array, d: Array, loss: Array) -> None:
    for name, values in (("sizes", n), ("tokens", d), ("losses", loss)):
        if values.shape != loss.shape or not np.all(np.isfinite(values) & (values > 0)):
            raise FitError(f"{name} must be finite and above 0, one per run")
    if len(loss) < MIN_RUNS or len(np.unique(n)) < 3 or len(np.unique(d)) < 3:
        raise FitError(
            f"found {len(loss)} runs of {len(np.unique(n))} sizes and {len(np.unique(d))} token "
            f"counts; L(N, D) needs {MIN_RUNS} runs, 3 sizes and 3 token counts"
        )
