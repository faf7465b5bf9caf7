"""Read the records of runs, one row per cell, from MLflow or a table (`fitting.contract`)."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitting.contract import (
    CELL_KEY,
    COLUMNS,
    FIRST,
    KIND,
    METRICS,
    NUMBERS,
    ORIGIN_METRICS,
    PARAMS,
    POSITIVE,
    REASON,
    REQUIRED,
    SETTINGS,
    STATUS,
    TEXTS,
    grouped,
    shape_text,
    ungrouped,
)
from fitting.runs import csv_file
from fitting.runs.csv_file import CsvFile, RecordError
from fitting.runs.escape import printable
from fitting.runs.loss import VAL_LOSS, loss_in, missing
from fitting.runs.tracking import find

MAX_CURVES = 32
"""Training curves read for one architecture."""
CURVE_POINTS = 150
LEAST, MOST = 1e-9, 1e40
"""Range of a size, budget or loss: powers of larger values would overflow."""


def read_csv(path: str | Path, settings: Sequence[str] = (), loss: str = VAL_LOSS) -> pd.DataFrame:
    """Read a table with at least the columns arch, n_params and that of the loss.

    A row without a status counts as finished. Another `loss` than val_loss takes its place, and may
    be empty where a run did not measure it. Columns in `settings` separate runs:
    where their values differ they are appended to the name of the architecture. `attrs["notes"]`
    lists the columns that were not read. RecordError names the file, row and column of the first
    wrong cell.
    """
    required = [loss if name == VAL_LOSS else name for name in REQUIRED]
    table = csv_file.read(Path(path), ", ".join(required))
    lacking = [name for name in required if name not in table.columns]
    if lacking == [loss] != [VAL_LOSS]:
        raise missing(f"{path}: no column", loss, table.columns)
    if lacking:
        header = "; is the first row the header?" if len(lacking) == len(required) else ""
        raise RecordError(
            f"{path}: found columns {table.names}; missing {', '.join(lacking)}{header}"
        )
    unknown = [name for name in settings if name not in table.columns]
    if unknown:
        raise RecordError(f"{path}: found columns {table.names}; missing {unknown[0]}")
    states = table.columns.get("status", [""] * len(table.rows))
    finished = np.isin(states, ("", "finished"))
    numbers = dict.fromkeys((*NUMBERS, *ORIGIN_METRICS, loss, loss_in(loss).error))
    read = [name for name in dict.fromkeys((*TEXTS, *numbers)) if name in table.columns]
    records = {
        name: _numbers(table, name, finished, name in required and name in REQUIRED)
        if name in numbers
        else table.columns[name]
        for name in read
    }
    if "" in table.columns["arch"]:
        where = table.where(table.columns["arch"].index(""), "arch")
        raise RecordError(f"{where}: empty; expected a name")
    for name in settings:
        words = [_word(value) for value in table.columns[name]]
        if len(set(words)) > 1:
            records["arch"] = [f"{arch}, {name}={w}" for arch, w in zip(records["arch"], words)]
    found = complete(pd.DataFrame(records))
    if unread := [name for name in table.columns if name not in (*read, *settings)]:
        found.attrs["notes"] = (
            f"Columns not read: {csv_file.listed(unread)}. To fit laws to one of them, give "
            "--loss NAME; if runs should be separated by one, give --setting NAME: each of its "
            "values then gets its own laws.",
        )
    return found


def read_mlflow(experiment: str, tracking_uri: str) -> pd.DataFrame:
    """Read the cells of an MLflow experiment: runs tagged `crescendo.kind` = `cell`."""
    client, found = find(experiment, tracking_uri)
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
    rows = [_record(run) for run in runs]
    for run, row in zip(runs, rows):
        lacking = [name for name in REQUIRED if row[name] is None]
        if row["status"] == "finished" and lacking:
            raise RecordError(
                f"{tracking_uri}: run {run.info.run_id} of experiment {experiment!r} has finished "
                f"without {lacking[0]}; was it logged under another name?"
            )
    records = complete(pd.DataFrame(rows))
    shown = _shown(records)
    with ThreadPoolExecutor(8) as pool:
        curves = pool.map(lambda row: _curve(client, runs[row].info.run_id), shown)
        records["train_curve"] = pd.Series(dict(zip(shown, curves)), dtype=object)
    return records


def to_json(records: pd.DataFrame) -> str:
    """The records as a JSON list of objects, at full precision; `read_json` is the inverse."""
    rows = [
        {
            name: None if isinstance(v, float) and not np.isfinite(v) else v
            for name, v in row.items()
        }
        for row in records.to_dict("records")
    ]
    lines = [json.dumps(row, allow_nan=False, separators=(",", ":")) for row in rows]
    return "[" + ",\n".join(lines) + "]"


def read_json(path: str | Path) -> pd.DataFrame:
    """Read what `to_json` wrote."""
    return complete(pd.DataFrame(json.loads(Path(path).read_text(encoding="utf-8"))))


def complete(records: pd.DataFrame) -> pd.DataFrame:
    """Add the contract's columns, in order; where there is no status, a run has finished.

    Any other column holds numbers, and is kept after them.
    """
    more = [name for name in records.columns if name not in COLUMNS]
    records = records.reindex(columns=[*COLUMNS, *more])
    for name in (*NUMBERS, *more):
        records[name] = pd.to_numeric(records[name]).astype(float)
    for name in TEXTS:
        texts = records[name].astype(object).where(records[name].notna(), "")
        # By distinct value rather than by row: most columns hold only a few.
        clean = {value: printable(str(value)) for value in texts.unique()}
        if name in SETTINGS:
            clean = {value: _word(text) for value, text in clean.items()}
        records[name] = texts.map(clean)
    records["status"] = records["status"].replace("", "finished")
    return records


def _word(value: object) -> str:
    """A setting as text: equal numbers give equal text, however they were written."""
    text = str(value).strip()
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def _numbers(
    table: CsvFile, name: str, finished: NDArray[np.bool_], required: bool
) -> NDArray[np.float64]:
    """A column of numbers (rows,); a required one may be empty only where a run has not finished.

    A run that diverged may have recorded an infinite loss: its status leaves it out.
    """
    texts = table.columns[name]
    empty = np.array([not text for text in texts])
    values, wrong = np.full(len(texts), np.nan), np.zeros(len(texts), dtype=bool)
    for index in np.flatnonzero(~empty):
        try:
            values[index] = float(texts[index])
        except ValueError:
            wrong[index] = True
    faults = {
        "a number": wrong,
        "a finite number": finished & ~empty & ~wrong & ~np.isfinite(values),
        "a number above 0": finished & ((name in POSITIVE) & (values <= 0)),
        f"a number between {LEAST:g} and {MOST:g}": finished
        & (name in POSITIVE)
        & ((values < LEAST) & (values > 0) | (values > MOST) & np.isfinite(values)),
    }
    if required:
        faults["a number above 0"] |= finished & empty
    if any(mask.any() for mask in faults.values()):
        index, expected = min((mask.argmax(), said) for said, mask in faults.items() if mask.any())
        text = texts[index]
        shown = f"found {text[:40]!r}" if text else "empty"
        raise RecordError(f"{table.where(int(index), name)}: {shown}; expected {expected}")
    return values


def _record(run: Any) -> dict[str, Any]:
    tags, params = run.data.tags, run.data.params
    metrics = {ungrouped(name): value for name, value in sorted(run.data.metrics.items())}
    record = {name: metrics[name] for name in sorted(metrics) if name not in COLUMNS}
    record |= {name: params.get(name, FIRST.get(name)) for name in PARAMS}
    record["shape"] = shape_text(params)
    record |= {name: metrics.get(name) for name in METRICS}
    record["cell_key"] = tags.get(CELL_KEY, run.info.run_id)
    record["status"] = tags.get(STATUS, "running")
    record["reason"] = tags.get(REASON, "")
    return record


def _shown(records: pd.DataFrame) -> list[int]:
    """Rows whose training curve is read: one of every size before a second one of any.

    Each curve costs a request, and a plot of more curves would be unreadable.
    """
    turn = records.groupby(["arch", "size"]).cumcount()
    order = records.assign(turn=turn).sort_values("turn", kind="stable")
    return [int(row) for row in order.groupby("arch").head(MAX_CURVES).index]


def _curve(client: Any, run_id: str) -> list[tuple[int, float]]:
    points = client.get_metric_history(run_id, grouped("train_loss"))
    # A run of before has it under its bare name.
    points = points or client.get_metric_history(run_id, "train_loss")
    stride = max(1, -(-len(points) // CURVE_POINTS))
    return [(point.step, point.value) for point in points[::-stride][::-1]]
