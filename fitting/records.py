"""The records of runs, one row a cell, from MLflow or a table; `fitting.contract` names them."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fitting.contract import (
    CELL_KEY,
    COLUMNS,
    KIND,
    METRICS,
    NUMBERS,
    PARAMS,
    POSITIVE,
    REASON,
    REQUIRED,
    SETTINGS,
    STATUS,
    TEXTS,
    shape_text,
)

MAX_CURVES = 32
"""Training curves read for one architecture."""
CURVE_POINTS = 150


class RecordError(ValueError):
    """The source holds nothing that can be fitted; one line says where and what."""


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table with at least the columns arch, n_params, val_loss. Rows count from the header.

    A row without a status counts as finished. Numbers are checked: RecordError names the file, the
    row and the column of the first bad one.
    """
    path = Path(path)
    if not path.is_file():
        raise RecordError(
            f"{path}: no such file; expected a CSV with columns {', '.join(REQUIRED)}"
        )
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not a CSV table ({str(error).strip()})") from error
    table.columns = table.columns.str.strip()
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise RecordError(
            f"{path}: found columns {', '.join(table.columns)}; missing {', '.join(missing)}"
        )
    if table.empty:
        raise RecordError(f"{path}: the table has a header and no rows")
    finished = table["status"].str.strip().isin(["", "finished"]) if "status" in table else None
    records: dict[str, Any] = {}
    for name in [column for column in COLUMNS if column in table.columns]:
        texts = table[name].str.strip()
        if name in NUMBERS:
            records[name] = [
                _number(path, row, name, text, finished is None or bool(finished[row]))
                for row, text in enumerate(texts)
            ]
        else:
            records[name] = texts.tolist()
    for row, arch in enumerate(records["arch"]):
        if not arch:
            raise RecordError(f"{path}, row {row + 2}, column arch: empty; expected a name")
    return complete(pd.DataFrame(records))


def read_mlflow(experiment: str, tracking_uri: str) -> pd.DataFrame:
    """Read the cells of an MLflow experiment: runs tagged `crescendo.kind` = `cell`."""
    # Here and not above: importing mlflow takes seconds, and a table does not need it.
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri)
    try:
        found = client.get_experiment_by_name(experiment)
        known = [] if found else [e.name for e in client.search_experiments(max_results=20)]
    except MlflowException as error:
        raise RecordError(f"{tracking_uri}: {str(error).splitlines()[0]}") from error
    if found is None:
        raise RecordError(
            f"{tracking_uri}: no experiment {experiment!r}; found {', '.join(known) or 'none'}"
        )
    runs, page = [], None
    while page is None or page:
        batch = client.search_runs(
            [found.experiment_id],
            f"tags.`{KIND}` = 'cell'",
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=page or None,
        )
        runs.extend(batch)
        page = batch.token or ""
    if not runs:
        raise RecordError(
            f"{tracking_uri}: experiment {experiment!r} holds no run with the tag "
            f"{KIND} = cell; was the sweep written by sweeps/run_grid.py?"
        )
    records = complete(pd.DataFrame([_record(run) for run in runs]))
    shown = _shown(records)
    with ThreadPoolExecutor(8) as pool:
        curves = pool.map(lambda row: _curve(client, runs[row].info.run_id), shown)
        records["train_curve"] = pd.Series(dict(zip(shown, curves)), dtype=object)
    return records


def to_json(records: pd.DataFrame) -> str:
    """The records as a JSON list of objects, every digit of them; `read_json` is its inverse."""
    rows = [
        {
            name: None if isinstance(v, float) and not np.isfinite(v) else v
            for name, v in row.items()
        }
        for row in records.to_dict("records")
    ]
    return json.dumps(rows, allow_nan=False, separators=(",", ":")).replace("},{", "},\n{")


def read_json(path: str | Path) -> pd.DataFrame:
    """Read what `to_json` wrote."""
    return complete(pd.DataFrame(json.loads(Path(path).read_text(encoding="utf-8"))))


def complete(records: pd.DataFrame) -> pd.DataFrame:
    """All columns of the contract, in order; what is absent is missing, no status is finished."""
    records = records.reindex(columns=list(COLUMNS))
    for name in NUMBERS:
        records[name] = pd.to_numeric(records[name]).astype(float)
    for name in TEXTS:
        records[name] = records[name].astype(object).where(records[name].notna(), "")
    for name in SETTINGS:
        records[name] = records[name].map(_word)
    records["status"] = records["status"].replace("", "finished")
    return records


def _word(value: object) -> str:
    """A setting as text: equal numbers are equal words, however they were written."""
    text = str(value).strip()
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def _number(path: Path, row: int, name: str, text: str, finished: bool) -> float:
    """One number of a table; a required one may be empty only where the run did not finish."""
    where = f"{path}, row {row + 2}, column {name}"
    if not text:
        if name in REQUIRED and finished:
            raise RecordError(f"{where}: empty; expected a number above 0")
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        raise RecordError(f"{where}: found {text!r}; expected a number") from None
    # A run that diverged may well have recorded an infinite loss: it is left out by its status.
    if finished and not np.isfinite(value):
        raise RecordError(f"{where}: found {text!r}; expected a finite number")
    if finished and name in POSITIVE and value <= 0:
        raise RecordError(f"{where}: found {text!r}; expected a number above 0")
    return value


def _record(run: Any) -> dict[str, Any]:
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    record: dict[str, Any] = {name: params.get(name) for name in PARAMS}
    record["shape"] = shape_text(params)
    record |= {name: metrics.get(name) for name in METRICS}
    record["cell_key"] = tags.get(CELL_KEY, run.info.run_id)
    record["status"] = tags.get(STATUS, "running")
    record["reason"] = tags.get(REASON, "")
    return record


def _shown(records: pd.DataFrame) -> list[int]:
    """Rows whose training curve is read: of every size before a second one of any.

    A request a run is what costs time, and a plot of more curves is a smear.
    """
    turn = records.groupby(["arch", "size"]).cumcount()
    order = records.assign(turn=turn).sort_values("turn", kind="stable")
    return [int(row) for row in order.groupby("arch").head(MAX_CURVES).index]


def _curve(client: Any, run_id: str) -> list[tuple[int, float]]:
    points = client.get_metric_history(run_id, "train_loss")
    stride = max(1, -(-len(points) // CURVE_POINTS))
    return [(point.step, point.value) for point in points[::-stride][::-1]]
