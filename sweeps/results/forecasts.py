"""A sweep's forecast: registered before the first target trains, later compared with the outcome.

It is written once and never again. Its sha256 goes to MLflow and into the record of each target, so
that later changes are noticed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from data.errors import one_line, printable
from fitting.contract import FORECAST, KIND
from sweeps.console import say
from sweeps.errors import GridError
from sweeps.sweep import Listed, Sweep
from trainers.names import names
from trainers.records import Record
from trainers.version import code_version

if TYPE_CHECKING:
    from fitting.outcomes import Review
    from trainers.cell import Cell


def refuse_targets_alone(sweep: Sweep, cells: list[Listed], pending: set[str]) -> None:
    """Raises GridError if only targets are to train and they cannot yet.

    cells: all cells of the grid. pending: the keys of those that are to train now.
    """
    targets = {cell.key for cell in cells if cell.target}
    waiting = waits_for(sweep, cells)
    if waiting and pending and pending <= targets:
        raise GridError(
            "the cells chosen are targets, to be forecast from others that have not ended: "
            f"{waiting}; train those first, by the same command without --only"
        )


def waits_for(sweep: Sweep, cells: list[Listed]) -> int:
    """How many cells the targets still wait for; 0 if they need not wait any more."""
    base = [cell.key for cell in cells if not cell.target]
    if sweep.forecast.exists() or begun(sweep, cells):
        return 0
    return len(base) - len(sweep.records(base))


def begun(sweep: Sweep, cells: list[Listed]) -> list[Listed]:
    """The targets that have begun to train, or have ended."""
    there = {folder.name for folder in sweep.cells.children()}
    return [cell for cell in cells if cell.target and cell.key in there]


def registered(
    sweep: Sweep, cells: list[Cell], targets: list[Cell], tracker: Any, uri: str
) -> dict[str, str] | None:
    """The sha256 of its forecast for each of `targets` that has one, by key; None, with a message,
    if the targets must wait. A forecast is made, and logged to MLflow, if there is none.

    cells: all cells of the grid. tracker: handle of a `sweeps.tracking.tracker.Tracker`.
    """
    from fitting.forecast import digest

    listed = sweep.listed()
    if waiting := waits_for(sweep, listed):
        say(f"The targets wait for other cells to end: {waiting}; the same command goes on.")
        return None
    new = not sweep.forecast.exists()
    if new and (early := begun(sweep, listed)):
        called = names({cell.key: cell.fields for cell in listed})[early[0].key]
        say(f"No forecast: {called} had begun to train before one was registered.")
        return {}
    if new:
        sweep.forecast.write_text(_made(sweep, cells, {cell.key for cell in listed if cell.target}))
    text = _text(sweep)
    tracker.register.remote(text, digest(text), new)
    # What was registered first counts, whatever the file says now.
    sha256 = (None if new else in_mlflow(sweep, uri)) or digest(text)
    say(f"Forecast {'made' if new else 'already made'}: {sweep.forecast}, sha256 {sha256[:12]}...")
    theirs = _targets(text)
    return {cell.key: sha256 for cell in targets if theirs is None or cell.key in theirs}


def _text(sweep: Sweep) -> str:
    """What is registered; what is no text is an unreadable one, as the report will say."""
    return sweep.forecast.read_bytes().decode(errors="replace")


def _targets(text: str) -> set[str] | None:
    """The cell keys of a forecast's targets; None if it is unreadable, as the report will say."""
    from fitting.forecast import ForecastError, read_json

    try:
        return set(read_json(text).targets)
    except ForecastError:
        return None


def _made(sweep: Sweep, cells: list[Cell], targets: set[str]) -> str:
    """The text of a new forecast."""
    from fitting.forecast import forecast, to_json
    from sweeps.results.summary import frame

    base = sweep.records(cell.key for cell in cells if cell.key not in targets)
    to_come = [_row(cell) for cell in cells if cell.key in targets]
    called = names({cell.key: vars(cell) for cell in cells})
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = forecast(frame(base.values()), frame(to_come), called, time=now, code=code_version())
    for prediction in made.predictions:
        if prediction.reason:
            say(f"No forecast of {', '.join(prediction.names)}: {prediction.reason}")
    return to_json(made)


def _row(cell: Cell) -> Record:
    """What is known about a target before it trains."""
    known = {"n_params": cell.rung.counts.n_params, "tokens": cell.tokens}
    return Record(cell.key, "to come", "", cell.params(), known, [], 0.0, 0.0)


def in_mlflow(sweep: Sweep, uri: str) -> str | None:
    """The sha256 in the sweep's MLflow run; None if there is none or MLflow does not answer."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(uri)
        found = client.get_experiment_by_name(sweep.name)
        experiments = [found.experiment_id] if found else []
        runs = client.search_runs(experiments, f"tags.`{KIND}` = 'sweep'", max_results=1)
    except MlflowException:
        return None
    return next((run.data.tags.get(FORECAST) for run in runs), None)


def standing(sweep: Sweep) -> str:
    """One line that says whether a forecast is registered."""
    if review := reviewed(sweep):
        made = review.forecast
        told = f"Forecast registered {made.time}: {review.sentence()}" if made else review.problem
        return printable(told)
    cells = sweep.listed()
    if waiting := waits_for(sweep, cells):
        return (
            f"No forecast is registered yet: it is made when the other cells have ended: {waiting}."
        )
    if begun(sweep, cells):
        return "No forecast is registered: targets had begun to train before one could be."
    return "No forecast is registered yet: the same command without --status makes it."


def reviewed(sweep: Sweep, uri: str | None = None) -> Review | None:
    """The forecast compared with the outcome; None if the sweep has none.

    uri: MLflow's, if it is to be asked for the sha256 that it holds.
    """
    from fitting.outcomes import Review, review
    from sweeps.results.summary import frame

    ended = sweep.records(cell.key for cell in sweep.listed())
    carried = {key: record.forecast for key, record in ended.items()}
    there = sweep.forecast.exists()
    if not there and not any(carried.values()):
        return None
    try:
        text = _text(sweep) if there else None
    except OSError as error:
        return Review("", one_line(error), None, (), ())
    return review(
        text, frame(ended.values()), carried, in_mlflow(sweep, uri) if uri and text else None
    )
