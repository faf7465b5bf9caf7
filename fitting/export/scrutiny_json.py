"""The findings on a law as JSON values; the names are explained in docs/fit.md."""

from typing import Any

from fitting.export.json_values import plain
from fitting.scrutiny.findings import Scrutiny


def scrutiny_json(found: Scrutiny) -> dict[str, Any]:
    """The part `scrutiny` of a law in fit.json."""
    curves = found.collapse
    return plain(
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
