"""A forecast compared with its results, and whether it is the one that was registered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fitting.export.json_values import plain
from fitting.forecast import (
    Forecast,
    ForecastError,
    Prediction,
    digest,
    read_json,
    records_digest,
)
from fitting.law.intervals import Interval
from fitting.runs.escape import printable

WAITING = "not ended"


@dataclass(frozen=True)
class Outcome:
    """The result for one target, or for the mean of several seeds. Nats per token."""

    name: str
    predicted: float | None
    interval: Interval | None
    status: str
    """finished, diverged, failed, or `WAITING`."""
    measured: float | None
    reason: str
    """Why nothing was predicted; "" if something was."""
    runs: int = 1
    """Number of targets averaged."""

    @property
    def expected(self) -> str:
        """The forecast and its interval, to four digits so that "inside" can be checked."""
        if self.predicted is None or self.interval is None:
            return "no forecast"
        high = f"{self.interval.high:.4f}" if np.isfinite(self.interval.high) else "∞"
        return f"{self.predicted:.4f} [{self.interval.low:.4f}, {high}]"

    @property
    def came(self) -> str:
        """The measured loss, with the relative error of the forecast."""
        if self.measured is None:
            return self.status
        error = self.relative_error
        return f"{self.measured:.4f}" + (f" ({100 * error:+.2f} %)" if error is not None else "")

    @property
    def inside(self) -> bool | None:
        """Whether the interval contains the measured loss; None where either is missing."""
        if self.interval is None or self.measured is None:
            return None
        return self.measured in self.interval

    @property
    def relative_error(self) -> float | None:
        """Predicted over measured, minus one, as in `fitting.law.held_out.HeldOut`."""
        if self.predicted is None or self.measured is None:
            return None
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class Review:
    """What the report says about a forecast."""

    sha256: str
    """sha256 of the text that was found."""
    problem: str
    """Why the text does not count as registered, in one line; "" if it does."""
    forecast: Forecast | None
    """None where there is a problem: a text changed afterwards is not a forecast."""
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    """What has changed since in the runs that it was made from."""

    def sentence(self) -> str:
        """How many of how many targets fell inside their intervals."""
        if self.forecast is None:
            return self.problem
        single = [each for each in self.outcomes if each.runs == 1]
        told = [each for each in single if each.inside is not None]
        parts = [
            f"{sum(bool(each.inside) for each in told)} of {len(told)} targets fell inside the "
            f"{100 * self.forecast.level:g} % interval forecast before the first of them trained"
            if told
            else "No target can be compared with its forecast yet"
        ]
        for count, what in (
            (sum(each.status == WAITING for each in single), "not ended"),
            (sum(each.status in ("failed", "diverged") for each in single), "no loss to compare"),
            (sum(each.predicted is None for each in single), "no forecast"),
        ):
            if count:
                parts.append(f"{count} {'has' if count == 1 else 'have'} {what}")
        return "; ".join(parts) + "."

    def lines(self) -> list[str]:
        """Lines for the terminal: one per outcome, then the sentence and the notes."""
        lines = [*map(_line, self.outcomes), f"Forecast: {self.sentence()}", *self.notes]
        return list(map(printable, lines))

    def to_json(self) -> dict[str, Any]:
        """The part `forecast` of fit.json."""
        return {
            "sha256": self.sha256,
            "problem": self.problem,
            "time": self.forecast.time if self.forecast else None,
            "code": self.forecast.code if self.forecast else None,
            "notes": list(self.notes),
            "outcomes": [_row(outcome) for outcome in self.outcomes],
        }


def review(
    text: str | None, records: pd.DataFrame, carried: Mapping[str, str], in_mlflow: str | None
) -> Review:
    """Compare the forecast in `text` with the records of the runs.

    text: of forecast.json; None if there is no such file. records: see `fitting.runs.read`, targets
    included. carried: the sha256 in the record of each target that has ended, by cell key, "" for
    none. in_mlflow: the one that MLflow holds; None if it holds none or cannot be reached.
    """
    if text is None:
        return _spoiled("", "forecast.json is gone; MLflow keeps it with the sweep's run")
    found = digest(text)
    try:
        forecast = read_json(text)
    except ForecastError as error:
        return _spoiled(found, str(error))
    kept = {f"{name}'s record": carried.get(key) for key, name in forecast.targets.items()}
    for place, sha256 in {"MLflow": in_mlflow, **kept}.items():
        if sha256 is not None and sha256 != found:
            return _spoiled(
                found,
                "forecast.json does not count as registered: its sha256 begins with "
                f"{found[:12]}, the one in {place} with {sha256[:12] or 'nothing'}",
            )
    return Review(found, "", forecast, outcomes(forecast, records), _notes(forecast, records))


def outcomes(forecast: Forecast, records: pd.DataFrame) -> tuple[Outcome, ...]:
    """The outcome of each target, followed by the mean of those that differ only in seed."""
    ended = records.set_index("cell_key")[["status", "val_loss"]].to_dict("index")
    found: list[Outcome] = []
    for prediction in forecast.predictions:
        mine = [
            _outcome(prediction, name, ended.get(key))
            for key, name in zip(prediction.targets, prediction.names)
        ]
        found += mine
        losses = [each.measured for each in mine if each.measured is not None]
        if len(mine) > 1 and len(losses) == len(mine):
            found.append(
                Outcome(
                    f"mean of these {len(mine)}",
                    prediction.loss,
                    prediction.mean_interval,
                    "finished",
                    float(np.mean(losses)),
                    prediction.reason,
                    len(mine),
                )
            )
    return tuple(found)


def _outcome(prediction: Prediction, name: str, ended: dict[Any, Any] | None) -> Outcome:
    status = ended["status"] if ended else WAITING
    measured = float(ended["val_loss"]) if ended and status == "finished" else None
    return Outcome(name, prediction.loss, prediction.interval, status, measured, prediction.reason)


def _notes(forecast: Forecast, records: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    used = records[records["cell_key"].isin(forecast.records)]
    gone = len(forecast.records) - len(used)
    since = len(records) - len(used) - records["cell_key"].isin(list(forecast.targets)).sum()
    if since:
        cells = "1 cell has" if since == 1 else f"{since} cells have"
        notes.append(f"{cells} ended since the forecast was made; it stands as registered.")
    if gone:
        notes.append(f"{gone} of the {len(forecast.records)} records it was made from are gone.")
    elif records_digest(used) != forecast.records_sha256:
        notes.append("The records that the forecast was made from have changed since.")
    return tuple(notes)


def _spoiled(sha256: str, problem: str) -> Review:
    return Review(sha256, problem, None, (), ())


def _line(outcome: Outcome) -> str:
    why = f": {outcome.reason}" if outcome.reason else ""
    expected = "forecast " * (outcome.predicted is not None) + outcome.expected + why
    place = {True: ", inside", False: ", outside", None: ""}[outcome.inside]
    measured = "measured " * (outcome.measured is not None) + outcome.came + place
    return f"{outcome.name}  {expected}   {measured}"


def _row(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "runs": outcome.runs,
        "forecast": outcome.predicted,
        "interval": plain(outcome.interval),
        "status": outcome.status,
        "measured": outcome.measured,
        "inside": outcome.inside,
        "relative_error": outcome.relative_error,
        "reason": outcome.reason,
    }
