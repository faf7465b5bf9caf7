"""A batched Newton method for laws that are sums of powers, with squared or Huber residuals.

A sum of powers is a log-sum-exp: log f = logsumexp_k(u_k), u = G theta, where theta holds the log
of each coefficient and the exponents, and G is known. Gradient and Hessian are therefore exact.
Newton steps, with negative curvature reflected (Dauphin et al. 2014), are shortened until the
objective falls, so it never rises; the stopping rule is a gradient of zero. Many problems that
share G (bootstrap draws, several starting points) are solved at once.
"""

from dataclasses import dataclass

import numpy as np

from fitting.law.power_law import Array, Residual

MAX_STEPS = 400


@dataclass(frozen=True)
class Minimum:
    """The solutions of a batch of problems."""

    theta: Array
    """(batch, parameters)."""
    objective: Array
    """(batch,) weighted sum over runs of rho(residual)."""
    gradient: Array
    """(batch,) largest |d objective / d theta| over the sum of the |terms| that cancel in it."""


def minimise(
    design: Array,
    loss: Array,
    start: Array,
    *,
    weight: Array | None = None,
    residual: Residual = "log",
    delta: float | None = None,
    tolerance: float = 1e-10,
) -> Minimum:
    """Minimise sum_i weight_i rho(r_i), r = log f - log L (or f - L), from each start.

    `design`: (runs, terms, parameters), `loss`: (runs,) or (batch, runs), `start`:
    (batch, parameters), `weight`: (batch, runs) or one for all. `delta` is the Huber threshold;
    without it, rho is half the square.
    """
    theta = start.astype(float).copy()
    loss = np.broadcast_to(loss, (len(theta), design.shape[0]))
    weight = np.ones_like(loss) if weight is None else np.broadcast_to(weight, loss.shape)
    active = np.arange(len(theta))
    step_size = np.ones(len(theta))
    objective = _objective(design, loss, theta, weight, residual, delta)
    gradient = np.full(len(theta), np.inf)
    for _ in range(MAX_STEPS):
        slope, scale, hessian = _derivatives(
            design, loss[active], theta[active], weight[active], residual, delta
        )
        gradient[active] = np.max(np.abs(slope) / scale, axis=1)
        going = (gradient[active] > tolerance) & (step_size[active] > 1e-14)
        active, slope, hessian = active[going], slope[going], hessian[going]
        if not len(active):
            break
        value, vector = np.linalg.eigh(hessian)
        value = np.maximum(np.abs(value), 1e-10 * np.abs(value).max(axis=1, keepdims=True))
        along = np.einsum("bji,bj->bi", vector, slope) / value
        move = -np.einsum("bij,bj->bi", vector, along)
        # A step that moves an exponent by more than one leaves the region the Hessian describes.
        move /= np.maximum(np.abs(move).max(axis=1, keepdims=True), 1.0)
        trial = theta[active] + step_size[active, None] * move
        reached = _objective(design, loss[active], trial, weight[active], residual, delta)
        better = reached < objective[active]
        stuck = ~better & (gradient[active] < 1e-7) & (step_size[active] < 1e-3)
        theta[active[better]] = trial[better]
        objective[active[better]] = reached[better]
        step_size[active] = np.where(
            better, np.minimum(1.0, 2 * step_size[active]), step_size[active] / 4
        )
        step_size[active[stuck]] = 0.0
    return Minimum(theta, objective, gradient)


def power_terms(log_sizes: list[Array]) -> Array:
    """(runs, terms, parameters) of f = A N^-alpha + B D^-beta + ... + E, for log N, log D, ...

    theta = (log A, log B, ..., log E, alpha, beta, ...).
    """
    k = len(log_sizes)
    design = np.zeros((len(log_sizes[0]), k + 1, 2 * k + 1))
    for term in range(k + 1):
        design[:, term, term] = 1
    for term, values in enumerate(log_sizes):
        design[:, term, k + 1 + term] = -values
    return design


def _model(design: Array, theta: Array) -> tuple[Array, Array]:
    """log f (batch, runs) and the share of each term in f (batch, runs, terms)."""
    u = np.einsum("rkp,bp->brk", design, theta)
    top = u.max(axis=2, keepdims=True)
    share = np.exp(u - top)
    total = share.sum(axis=2, keepdims=True)
    return (top + np.log(total))[..., 0], share / total


def _residual(log_f: Array, loss: Array, residual: Residual) -> Array:
    return log_f - np.log(loss) if residual == "log" else np.exp(log_f) - loss


def _objective(
    design: Array, loss: Array, theta: Array, weight: Array, residual: Residual, delta: float | None
) -> Array:
    r = np.abs(_residual(_model(design, theta)[0], loss, residual))
    rho = r**2 / 2
    if delta is not None:
        rho = np.where(r <= delta, rho, delta * (r - delta / 2))
    return (weight * rho).sum(axis=1)


def _derivatives(
    design: Array, loss: Array, theta: Array, weight: Array, residual: Residual, delta: float | None
) -> tuple[Array, Array, Array]:
    """Gradient (batch, p), the magnitude of what cancels in it, and Hessian (batch, p, p)."""
    log_f, share = _model(design, theta)
    r = _residual(log_f, loss, residual)
    psi = r if delta is None else np.clip(r, -delta, delta)
    inner = np.ones_like(r) if delta is None else (np.abs(r) <= delta).astype(float)
    j = np.einsum("brk,rkp->brp", share, design)
    if residual == "log":
        first, second, outer = weight * psi, weight * psi, weight * (inner - psi)
    else:
        f = np.exp(log_f)
        first = second = weight * psi * f
        outer = weight * inner * f**2
    slope = np.einsum("br,brp->bp", first, j)
    # A term that vanishes leaves no gradient of its own to compare with: it is measured against the
    # others, or the method would chase it to minus infinity.
    size = np.maximum(np.abs(j), 1e-4 * np.abs(j).max(axis=2, keepdims=True))
    scale = np.einsum("br,brp->bp", np.abs(first), size) + 1e-300
    hessian = np.einsum("brp,brq->bpq", outer[..., None] * j, j)
    spread = np.einsum("brk,rkp->brkp", second[..., None] * share, design)
    hessian += np.einsum("brkp,rkq->bpq", spread, design, optimize=True)
    return slope, scale, hessian
