"""A law of sizes and tokens as JSON values; the names are explained in docs/fit.md."""

import math
from typing import Any

from fitting.export.json_values import plain
from fitting.law.alternatives import HUBER_DELTA
from fitting.law.intervals import Interval
from fitting.surface.fit import Surface
from fitting.surface.law import SurfaceLaw
from fitting.surface.optimum import Optimum

NUMBERS = ("A", "B", "E", "alpha", "beta", "optimal_exponent")


def surface_json(law: SurfaceLaw, loss: str) -> dict[str, Any]:
    """The part `surface` of a law in fit.json; numbers that the runs do not identify are null.

    `loss`: the name under which a run's loss is listed. Intervals [low, high] are at 95 %, open
    ends null.
    """
    surface, noise = law.surface, law.noise
    return plain(
        {
            "verdict": law.word,
            "reasons": list(law.reasons),
            "headline": law.headline(),
            "identified": law.identified,
            "condition": law.condition,
            **_numbers(surface, law.identified),
            **{f"{name}_interval": _interval(law, name) for name in NUMBERS},
            "objective": surface.objective,
            "gradient": surface.gradient,
            "huber": _numbers(law.huber, law.identified)
            | {"objective": law.huber.objective, "delta": HUBER_DELTA},
            "noise": {
                "of_a_run": noise.of_a_run,
                "between_seeds": math.sqrt(noise.pure) if noise.pure_dof else None,
                "repeats": noise.pure_dof,
                "misfit_p": noise.misfit_p(),
            },
            "flops_per_parameter_and_token": law.per_token,
            "notes": list(law.notes),
            "optima": [_optimum(best) for best in law.optima],
            "parabola_exponent": law.frontier.exponent,
            "disagreement": law.disagreement(),
            "held_out": _held_out(law),
            "influence": _influence(law, loss),
            "runs": _runs(law, loss),
        }
    )


def _numbers(surface: Surface, identified: bool) -> dict[str, float | None]:
    return {name: getattr(surface, name) if identified else None for name in NUMBERS}


def _interval(law: SurfaceLaw, name: str) -> Interval | None:
    return getattr(law, name) if law.identified else None


def _optimum(best: Optimum) -> dict[str, Any]:
    return {
        "flops": best.flops,
        "beyond": best.beyond,
        "n_opt": best.n,
        "n_opt_interval": best.n_interval,
        "d_opt": best.d,
        "d_opt_interval": best.d_interval,
        "parabola_n_opt": best.parabola_n,
        "parabola_d_opt": best.parabola_d,
    }


def _held_out(law: SurfaceLaw) -> dict[str, Any] | None:
    held = law.held_out
    if held is None:
        return None
    columns = zip(held.n, held.d, held.observed, held.predicted, held.low, held.high)
    return {
        "what": held.what,
        "relative_error": held.relative_error,
        "inside": held.inside,
        "contradicted": held.contradicted,
        "runs": [
            {
                "n_params": float(n),
                "tokens": float(d),
                "observed": float(observed),
                "predicted": float(predicted),
                "interval": [float(low), float(high)],
            }
            for n, d, observed, predicted, low, high in columns
        ],
    }


def _influence(law: SurfaceLaw, loss: str) -> dict[str, Any] | None:
    run = law.influence
    if run is None:
        return None
    return {
        "n_params": run.n,
        "tokens": run.d,
        loss: run.loss,
        "alpha": run.alpha,
        "beta": run.beta,
        "shift": run.shift,
        "apart": run.apart,
    }


def _runs(law: SurfaceLaw, loss: str) -> list[dict[str, Any]]:
    s = law.surface
    residuals = law.residuals()
    return [
        {
            "n_params": float(s.n[i]),
            "tokens": float(s.d[i]),
            "flops": float(law.flops[i]),
            loss: float(s.loss[i]),
            "residual": float(residuals[i]),
            "alpha_without": law.alpha_without[i],
            "beta_without": law.beta_without[i],
        }
        for i in range(len(s.loss))
    ]
