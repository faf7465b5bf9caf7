"""What the runs allow for a surface L(N, D): a profile-likelihood region, and its intervals.

As for L(N) (`fitting.law.intervals`; Bates and Watts 1988, chapter 6), with two exponents instead
of one. A pair (alpha, beta) is accepted if its best A, B, E leave a sum of squares of at most
RSS + excess, excess = s^2 F(1, dof). At each pair the surface is linear in A, B, E, so the
intervals of E, of a loss and of N_opt are known exactly; what is reported is their union over the
accepted pairs. Nothing is assumed symmetric, and an interval that the runs leave open is open.
Pairs are searched along rays from the minimum, in coordinates in which the region of a linear
problem is a circle.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fitting.law.intervals import Interval
from fitting.law.power_law import Array
from fitting.surface.fit import EXPONENT_MAX, EXPONENT_MIN, Surface
from fitting.surface.slices import Problem, problem

RAYS = 48
RADII = np.geomspace(0.25, 25, 24)
"""Radii at which a ray is searched; 1 is the radius of the circle."""
FILLED = np.array([0.25, 0.5, 0.7, 0.85, 0.95, 1.0])
"""Fractions of each ray at which the region is sampled."""
BISECTIONS = 20
LONGEST = 1.0
"""Longest unit of a ray, in log exponent, so that directions left open are searched too."""


@dataclass(frozen=True)
class Region:
    """The accepted pairs of exponents (k,), and the linear problem in A, B, E at each.

    No pair is accepted where no positive A and B fit; every interval is then open.
    N and D are in units of their geometric means, so that A and B are of the size of the loss.
    """

    alpha: Array
    beta: Array
    solution: Array
    """(k, 3) of A, B, E."""
    covariance: Array
    """(k, 3, 3) of the solution, for unit noise."""
    room: Array
    """(k,) how much of the excess is left for A, B and E."""
    log_n: float
    log_d: float
    """Logs of the units."""

    def alpha_interval(self) -> Interval:
        """Interval of alpha; an end at the bound of the search is open."""
        return _ends(self.alpha)

    def beta_interval(self) -> Interval:
        """Interval of beta; an end at the bound of the search is open."""
        return _ends(self.beta)

    def optimal_exponent_interval(self) -> Interval:
        """Interval of beta / (alpha + beta), the power of C with which N_opt grows."""
        share = self.beta / (self.alpha + self.beta)
        return _span(share, share)

    def floor_interval(self) -> Interval:
        """Interval of E, nats per token."""
        low, high = self._linear(np.array([[[0.0, 0.0, 1.0]]]), np.zeros(1))
        return Interval(float(low[0]), float(high[0]))

    def scale_interval(self, term: int) -> Interval:
        """Interval of A (`term` 0) or B (1), nats per token at N = 1 or D = 1."""
        exponent, unit = ((self.alpha, self.log_n), (self.beta, self.log_d))[term]
        scale = np.exp(np.minimum(exponent * unit, 700))
        reach = np.sqrt(self.room * self.covariance[:, term, term])
        low = np.maximum(self.solution[:, term] - reach, 0) * scale
        high = (self.solution[:, term] + reach) * scale
        return _span(low, high)

    def loss_interval(self, n: ArrayLike, d: ArrayLike, own: ArrayLike) -> tuple[Array, Array]:
        """Low and high (m,) of the loss at sizes `n` and tokens `d`, both (m,).

        `own`: (m,) variance of the predicted quantity about the surface, nats squared over s^2; 0
        for the surface itself.
        """
        n, d, own = (np.asarray(values, dtype=float) for values in (n, d, own))
        x = np.exp(-self.alpha * (np.log(n)[:, None] - self.log_n))
        y = np.exp(-self.beta * (np.log(d)[:, None] - self.log_d))
        return self._linear(np.stack([x, y, np.ones_like(x)], axis=-1), own)

    def optimal_n_interval(self, flops: float, per_token: float = 6.0) -> Interval:
        """Interval of the size of least loss at the compute `flops`, C = per_token N D.

        Hoffmann et al. (2022), equation 4. At given exponents only the ratio r = A / B is
        uncertain: (A - r B)^2 <= room Var(A - r B), a quadratic in r (Fieller 1954).
        """
        a, b = self.solution[:, 0], self.solution[:, 1]
        v, room = self.covariance, self.room
        square = b**2 - room * v[:, 1, 1]
        linear = a * b - room * v[:, 0, 1]
        root = np.sqrt(np.maximum(linear**2 - square * (a**2 - room * v[:, 0, 0]), 0))
        total = self.alpha + self.beta
        log_budget = np.log(flops / per_token) - self.log_n - self.log_d
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (
                np.where(square > 0, np.maximum((linear - root) / square, 0), 0),
                np.where(square > 0, (linear + root) / square, np.inf),
            )
            low, high = (
                self.log_n + (np.log(self.alpha / self.beta * r) + self.beta * log_budget) / total
                for r in ratios
            )
        return _span(np.exp(low), np.exp(high))

    def _linear(self, x: Array, own: Array) -> tuple[Array, Array]:
        """Union of the exact intervals of x . (A, B, E), E at least 0; `x`: (m, k or 1, 3).

        A loss not yet observed adds its own variance: the excess covers both.
        """
        if not len(self.room):
            return np.zeros(len(x)), np.full(len(x), np.inf)
        x = np.broadcast_to(x, (len(x), *self.solution.shape))
        value = np.einsum("mki,ki->mk", x, self.solution)
        pull = np.einsum("kij,mkj->mki", self.covariance, x)
        spread = np.einsum("mki,mki->mk", pull, x) + own[:, None]
        share = np.sqrt(self.room / np.maximum(spread, 1e-300))
        ends = []
        for sign, worst in ((-1.0, np.inf), (1.0, -np.inf)):
            # Where the far end lies at a negative E, the problem without E stands in for it.
            usable = self.solution[:, 2] + sign * share * pull[:, :, 2] >= 0
            ends.append(np.where(usable, value + sign * share * spread, worst))
        return np.maximum(ends[0].min(axis=1), 0.0), ends[1].max(axis=1)


def region(surface: Surface, excess: float) -> Region:
    """The region where the sum of squares of log loss is at most that of `surface` plus `excess`.

    `surface` is a least-squares fit of log loss, linearised at its minimum.
    """
    linear = problem(surface)
    centre = np.log([[surface.alpha, surface.beta]])
    cut = 2 * surface.objective + excess
    turn = np.linspace(0, 2 * np.pi, RAYS, endpoint=False)
    rays = np.stack([np.cos(turn), np.sin(turn)], axis=1) @ _circle(linear, surface, excess)
    reach = _reach(linear, centre, rays, cut)
    points = centre + (FILLED[:, None, None] * reach[:, None] * rays).reshape(-1, 2)
    exponents = np.exp(_inside(np.concatenate([centre, points])))
    parts = linear.solve(exponents)
    kept = [s.sound & (s.rss <= cut + 1e-9 * excess) for s in parts]
    alpha, beta = np.concatenate([exponents[ok] for ok in kept]).T
    return Region(
        alpha,
        beta,
        np.concatenate([s.solution[ok] for s, ok in zip(parts, kept)]),
        np.concatenate([s.covariance[ok] for s, ok in zip(parts, kept)]),
        np.concatenate([np.maximum(cut - s.rss[ok], 0) for s, ok in zip(parts, kept)]),
        linear.log_n,
        linear.log_d,
    )


def nothing(of: Region) -> Region:
    """The empty region, in the units of `of`: for exponents that the runs do not identify."""
    none = np.empty(0)
    return Region(
        none, none, np.empty((0, 3)), np.empty((0, 3, 3)), none, log_n=of.log_n, log_d=of.log_d
    )


def _reach(linear: Problem, centre: Array, rays: Array, cut: float) -> Array:
    """(rays,) how far the region reaches along each ray, by bisection."""
    inside = np.stack([_rss(linear, _inside(centre + r * rays)) <= cut for r in RADII])
    last = np.where(inside.any(axis=0), len(RADII) - 1 - inside[::-1].argmax(axis=0), -1)
    edges = np.concatenate([[0.0], RADII])
    low, high = edges[last + 1], edges[np.minimum(last + 2, len(RADII))]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        ok = _rss(linear, _inside(centre + middle[:, None] * rays)) <= cut
        low, high = np.where(ok, middle, low), np.where(ok, high, middle)
    return low


def _rss(linear: Problem, log_exponents: Array) -> Array:
    """(k,) least squares with A, B above 0 and E at least 0; infinite without a solution."""
    free, floorless = linear.solve(np.exp(log_exponents))
    at_zero = np.where(floorless.sound, floorless.rss, np.inf)
    return np.where(free.sound, free.rss, at_zero)


def _circle(linear: Problem, surface: Surface, excess: float) -> Array:
    """(2, 2) steps in (log alpha, log beta) that turn the linear region into the unit circle."""
    x, y = np.exp(-surface.alpha * linear.x), np.exp(-surface.beta * linear.y)
    a = surface.A * np.exp(-surface.alpha * linear.log_n)
    b = surface.B * np.exp(-surface.beta * linear.log_d)
    known = np.stack([x, y, np.ones_like(x)], axis=1) * linear.root[:, None]
    slope = np.stack([a * surface.alpha * linear.x * x, b * surface.beta * linear.y * y], axis=1)
    slope = slope * linear.root[:, None]
    q, _ = np.linalg.qr(known)
    slope = slope - q @ (q.T @ slope)
    value, vector = np.linalg.eigh(slope.T @ slope)
    length = np.minimum(np.sqrt(excess / np.maximum(value, 1e-300)), LONGEST)
    return length[:, None] * vector.T


def _inside(log_exponents: Array) -> Array:
    return np.clip(log_exponents, np.log(EXPONENT_MIN), np.log(EXPONENT_MAX))


def _ends(exponents: Array) -> Interval:
    found = _span(exponents, exponents)
    return Interval(
        0.0 if found.low <= EXPONENT_MIN * 1.001 else found.low,
        np.inf if found.high >= EXPONENT_MAX * 0.999 else found.high,
    )


def _span(low: Array, high: Array) -> Interval:
    """The union of intervals (k,); open where there are none."""
    return Interval(float(low.min()), float(high.max())) if len(low) else Interval(0.0, np.inf)
