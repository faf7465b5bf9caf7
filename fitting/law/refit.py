"""Many refits of one law at once, with other weights or new noise, each started from the law."""

import numpy as np

from fitting.law.newton import minimise, power_terms
from fitting.law.power_law import Array, PowerLaw

TOLERANCE = 1e-6
"""Relative gradient at which a refit stops: digits beyond it are never shown."""
FLOOR = 1e-9
"""Smallest c, as a fraction of the loss, from which a Newton step in log c can start."""


def refit(
    law: PowerLaw, loss: Array, weight: Array | None = None, delta: float | None = None
) -> Array:
    """(batch, 3) of a, alpha, c, fitted to each of the losses (batch, runs).

    `weight`: (batch, runs), 1 if not given. Least squares, or Huber's loss if `delta` is given.
    The law itself must fall: a above 0.
    """
    n, weight = law.n, np.ones_like(loss) if weight is None else weight
    if delta is None and law.residual == "log":
        n, loss, weight = _means(n, loss, weight)
    centre = np.log(n).mean()
    log_b = np.log(law.a) - law.alpha * centre
    log_c = np.log(max(law.c, FLOOR * law.loss.min()))
    start = np.tile([log_b, log_c, law.alpha], (len(loss), 1))
    design = power_terms([np.log(n) - centre])
    found = minimise(
        design, loss, start, weight=weight, residual=law.residual, delta=delta, tolerance=TOLERANCE
    )
    log_b, log_c, alpha = found.theta.T
    # In a poorly determined draw, the scale at N = 1 can overflow a float.
    a = np.exp(np.minimum(log_b + alpha * centre, 700))
    return np.stack([a, alpha, np.exp(log_c)], axis=1)


def _means(n: Array, loss: Array, weight: Array) -> tuple[Array, Array, Array]:
    """One point per size, at the mean log loss, with the total weight of its runs.

    The least-squares solution is the same, because no law changes how the runs of a size differ
    from their mean; a thousand runs of ten sizes then take the time of ten.
    """
    sizes, group = np.unique(n, return_inverse=True)
    of_size = (group[:, None] == np.arange(len(sizes))).astype(float)
    total = weight @ of_size
    mean = (weight * np.log(loss)) @ of_size / np.maximum(total, np.finfo(float).tiny)
    # A size without weight counts for nothing, wherever its point lies.
    return sizes, np.exp(mean), total
