"""Predicted losses of runs that have not trained yet, written down before they do.

A forecast is made once, from the finished runs, with the laws and intervals of the report, and is
identified by the sha256 of its text. `fitting.outcomes` compares it with the results.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fitting.analysis import analyse
from fitting.contract import APART, FIRST, NUMBERS, TEXTS
from fitting.export.json_values import plain
from fitting.law.intervals import Interval, prediction_interval
from fitting.law.power_law import FitError
from fitting.law.verdict import MIN_SIZES
from fitting.runs.escape import printable
from fitting.runs.groups import SAME_BUDGET
from fitting.runs.read import RecordError
from fitting.surface.law import surface_law

SCHEMA = 1
"""Raised when a name in forecast.json changes."""
LEVEL = 0.95
SHARED = ("arch", "lr", *(name for name in APART if name != "shape"))
"""The columns in which a target agrees with the runs that it is forecast from."""


class ForecastError(ValueError):
    """The text is not a forecast of this version; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@dataclass(frozen=True)
class Prediction:
    """The forecast for targets that differ only in their seeds. Losses are in nats per token."""

    targets: tuple[str, ...]
    """Cell keys of the targets."""
    names: tuple[str, ...]
    """Readable names of the targets, in the same order."""
    n_params: float
    tokens: float
    loss: float | None = None
    """None where no prediction could be made; `reason` says why."""
    interval: Interval | None = None
    """Interval of each single target."""
    mean_interval: Interval | None = None
    """Interval of the mean of the targets."""
    law: str = ""
    verdict: str = ""
    """The word of the law's verdict."""
    reason: str = ""


@dataclass(frozen=True)
class Forecast:
    """Predictions, with when and from what they were made."""

    predictions: tuple[Prediction, ...]
    records: tuple[str, ...]
    """Cell keys of the runs that it was made from, sorted."""
    records_sha256: str
    time: str
    """UTC, ISO 8601."""
    code: str
    """Version of the code, with its commit."""
    level: float = LEVEL
    """Level of every interval."""
    schema: int = SCHEMA

    @property
    def targets(self) -> dict[str, str]:
        """The name of each target, by its cell key."""
        return {key: name for p in self.predictions for key, name in zip(p.targets, p.names)}


def forecast(
    records: pd.DataFrame,
    targets: pd.DataFrame,
    names: Mapping[str, str],
    *,
    time: str,
    code: str,
) -> Forecast:
    """Predict the loss of `targets` from the runs in `records`; see `fitting.runs.read` for both.

    names: the name of each target, by cell key. Targets have no losses yet: only their n_params,
    tokens, arch, lr and settings are read.
    """
    alike = ["size", "shape", "n_params", "tokens", *SHARED]
    predictions = [
        _predict(records, rows, tuple(names[key] for key in rows["cell_key"]))
        for _, rows in targets.groupby(alike, sort=False, dropna=False)
    ]
    keys = tuple(sorted(records["cell_key"]))
    return Forecast(tuple(predictions), keys, records_digest(records), time, code)


def to_json(forecast: Forecast) -> str:
    """The text of forecast.json; `read_json` is the inverse."""
    values = asdict(forecast)
    for prediction in values["predictions"]:
        for name in ("interval", "mean_interval"):
            if ends := prediction[name]:
                prediction[name] = plain([ends["low"], ends["high"]])
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def read_json(text: str) -> Forecast:
    """Parse the text of a forecast. Raises ForecastError."""
    try:
        values = json.loads(text)
        schema = values["schema"]
        if schema == SCHEMA:
            found = {name: _checked(name, value) for name, value in values.items()}
            return Forecast(**found | {"predictions": tuple(map(_read, values["predictions"]))})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ForecastError(f"forecast.json is not a forecast ({error})") from None
    raise ForecastError(
        f"forecast.json has schema {schema!r}; this version reads {SCHEMA}: update it"
    )


def digest(text: str) -> str:
    """The sha256 of a forecast's text, byte for byte, which identifies it."""
    return hashlib.sha256(text.encode()).hexdigest()


def records_digest(records: pd.DataFrame) -> str:
    """sha256 of the records as canonical JSON, in order of their keys.

    Columns without a value and settings at their `FIRST` are left out, so that a new column
    changes nothing; so are the training curve and seconds, which may differ between repetitions of
    a run although its losses are the same.
    """
    columns = [name for name in (*TEXTS, *NUMBERS) if name != "seconds"]
    rows = [
        {
            name: value
            for name, value in row.items()
            if value not in ("", FIRST.get(str(name))) and not pd.isna(value)
        }
        for row in records.sort_values("cell_key")[columns].to_dict("records")
    ]
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read(values: dict[str, Any]) -> Prediction:
    return Prediction(**{name: _checked(name, value) for name, value in values.items()})


def _checked(name: str, value: Any) -> Any:
    """Check a value of the file, which anyone may have edited. Raises ValueError."""
    match name:
        case "schema" | "predictions":
            return value
        case "n_params" | "tokens" | "level":
            return _number(value)
        case "loss":
            return None if value is None else _number(value)
        case "interval" | "mean_interval":
            if value is None:
                return None
            low, high = value
            return Interval(_number(low), np.inf if high is None else _number(high))
        case "targets" | "names" | "records":
            return tuple(map(_text, value))
        case _:
            return _text(value)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"found {value!r}; expected a number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"found {value!r}; expected a text")
    return value


def _predict(records: pd.DataFrame, targets: pd.DataFrame, names: tuple[str, ...]) -> Prediction:
    """The prediction for `targets`, rows that differ only in their seeds."""
    first = targets.iloc[0]
    base = records[(records[list(SHARED)] == first[list(SHARED)]).all(axis=1)]
    finished = base[base["status"] == "finished"]
    said = Prediction(
        tuple(targets["cell_key"]), names, float(first["n_params"]), float(first["tokens"])
    )
    try:
        runs, told, all_of_them = _along_size(base, said)
        if len(finished) and not all_of_them:
            # The surface uses all runs; a curve through some of them is the fallback.
            with contextlib.suppress(FitError):
                return _by_size_and_tokens(finished, said)
        return _by_size(runs, told, said)
    except (FitError, RecordError) as error:
        return replace(said, reason=str(error))


def _along_size(base: pd.DataFrame, said: Prediction) -> tuple[pd.DataFrame, str, bool]:
    """The runs on whose L(N) a target lies, a phrase for them, and whether these are all runs.

    They share its token budget, or its tokens per parameter if more sizes have that. Unfinished
    runs have no tokens on record; they are kept, because they weaken the verdict.
    """
    ended = base["status"] == "finished"
    ratio = said.tokens / said.n_params
    found = []
    for of_base, of_target, told in (
        (base["tokens"], said.tokens, f"at {said.tokens:,.0f} tokens"),
        (base["tokens"] / base["n_params"], ratio, f"at {ratio:.3g} tokens per parameter"),
    ):
        near = np.abs(np.log(of_base / of_target)) <= SAME_BUDGET
        found.append((base[near | ~ended], told, bool(near[ended].all())))
    return max(found, key=lambda each: _sizes(each[0]))


def _sizes(runs: pd.DataFrame) -> int:
    return runs[runs["status"] == "finished"]["n_params"].nunique()


def _by_size(runs: pd.DataFrame, told: str, said: Prediction) -> Prediction:
    if _sizes(runs) < MIN_SIZES:
        sizes = "1 size" if _sizes(runs) == 1 else f"{_sizes(runs)} sizes"
        return replace(
            said, reason=f"{sizes} finished with its settings {told}; a forecast needs {MIN_SIZES}"
        )
    (law,) = analyse(runs).laws.values()
    fit, n = law.fit, said.n_params
    if fit is None:
        return replace(said, reason="; ".join(law.verdict.reasons))
    reach = n / fit.n.max()
    beyond = f", {reach:.2g} times the largest" if reach > 1 else ""
    return replace(
        said,
        loss=float(fit.predict(n)),
        interval=prediction_interval(fit, n, LEVEL),
        mean_interval=prediction_interval(fit, n, LEVEL, new_runs=len(said.targets)),
        law=f"L(N) = {fit.a:.3g} N^-{fit.alpha:.3g} + {fit.c:.3g} {told}, "
        f"from {len(fit.n)} runs of {len(np.unique(fit.n))} sizes{beyond}",
        verdict=law.verdict.word,
    )


def _by_size_and_tokens(runs: pd.DataFrame, said: Prediction) -> Prediction:
    """The prediction of L(N, D). Raises FitError where the runs do not identify it."""
    law = surface_law(runs)
    if law is None or not law.identified:
        raise FitError(law.reasons[0] if law else "there are too few runs for L(N, D)")
    n, tokens = said.n_params, said.tokens
    return replace(
        said,
        loss=float(law.surface.predict(n, tokens)),
        interval=law.prediction(n, tokens),
        mean_interval=law.prediction(n, tokens, runs=len(said.targets)),
        law=f"{law.headline()}, from {len(runs)} runs",
        verdict=law.word,
    )
