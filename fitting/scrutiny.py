"""What becomes of a law under other choices: sizes, counts of N, forms of curve; and whether its
training curves collapse. Neither the law nor its verdict is changed by any of it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fitting.axis import N_PARAMS, Axis
from fitting.collapse import Collapse, collapse
from fitting.forms import Forms, judge_forms
from fitting.intervals import Interval
from fitting.power_law import PowerLaw
from fitting.sensitivity import Counted, Trimmed, counted_otherwise, drift_sentence, without_ends


@dataclass(frozen=True)
class Scrutiny:
    """The other choices for one law."""

    ends: tuple[Trimmed, ...]
    """Without sizes at one end; empty where fewer than five were fitted."""
    drift: str
    """A sentence on `ends`."""
    counted: tuple[Counted, ...]
    """Against N counted otherwise; empty where its parts were not recorded, or x is not N."""
    forms: Forms
    collapse: Collapse | None
    """None for a law against anything but N."""


def scrutinise(
    law: PowerLaw, interval: Interval, runs: pd.DataFrame, axis: Axis
) -> Scrutiny | None:
    """Look at a law, the 95 % `interval` of its alpha, and the runs that it was fitted to.

    None where the losses do not fall: there is no exponent to ask about.
    """
    if law.a <= 0:
        return None
    trimmed = without_ends(law)
    by_size = axis == N_PARAMS
    return Scrutiny(
        trimmed,
        drift_sentence(law.alpha, interval, trimmed),
        counted_otherwise(runs) if by_size else (),
        judge_forms(law.n, law.loss),
        collapse(runs, law) if by_size else None,
    )


def scrutiny_json(found: Scrutiny) -> dict[str, Any]:
    """For fit.json; its fields are described in docs/fit.md."""
    curves = found.collapse
    return _plain(
        {
            "sensitivity": {
                "said": found.drift,
                "without": [
                    {
                        "end": one.end,
                        "sizes": one.left_out,
                        "to": one.n_end,
                        "alpha": one.alpha,
                        "alpha_interval": one.interval,
                    }
                    for one in found.ends
                ],
                "counted": [
                    {
                        "n": one.counted,
                        "alpha": one.alpha,
                        "alpha_interval": one.interval,
                        "c": one.c,
                        "noise": one.noise,
                    }
                    for one in found.counted
                ],
            },
            "forms": {
                "said": found.forms.sentence(),
                "noise": found.forms.noise,
                "tenfold_range": found.forms.tenfold_range,
                "tenfold_allowed": found.forms.tenfold_allowed,
                "tried": [
                    {
                        "form": one.name,
                        "n_parameters": one.n_parameters,
                        "errors": [trial.error for trial in one.trials],
                        "errors_of_noise": [trial.reach for trial in one.trials],
                        "survives": one.survives,
                        "tenfold": one.tenfold,
                    }
                    for one in found.forms.judged
                ],
            },
            "collapse": curves
            and {
                "said": curves.sentence(),
                "design": curves.design,
                "spread": curves.spread,
                "beyond_c": curves.beyond_c,
                "noise": curves.noise,
                "leaving": [one.n for one in curves.leaving],
            },
        }
    )


def _plain(value: Any) -> Any:
    """JSON of it: an interval is a pair, what is not finite null."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, Interval):
        return [_plain(value.low), _plain(value.high)]
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
