"""Neighbours of a fitted law, all at once: other weights or new noise, started from the law."""

import numpy as np

from fitting.newton import minimise, power_terms
from fitting.power_law import Array, PowerLaw

FLOOR = 1e-9
"""Least c, as a fraction of the loss, from which a Newton step in log c can start."""


def refit(law: PowerLaw, loss: Array, weight: Array | None = None) -> Array:
    """(batch, 3) of a, alpha, c, fitted to each of the losses (batch, runs).

    The law itself must fall: a above 0.
    """
    centre = np.log(law.n).mean()
    log_b = np.log(law.a) - law.alpha * centre
    log_c = np.log(max(law.c, FLOOR * law.loss.min()))
    start = np.tile([log_b, log_c, law.alpha], (len(loss), 1))
    design = power_terms([np.log(law.n) - centre])
    theta = minimise(design, loss, start, weight=weight, residual=law.residual).theta
    log_b, log_c, alpha = theta.T
    # The scale at N = 1 of a weak draw can be beyond what a float holds.
    a = np.exp(np.minimum(log_b + alpha * centre, 700))
    return np.stack([a, alpha, np.exp(log_c)], axis=1)
