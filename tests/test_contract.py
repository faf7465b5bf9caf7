"""Every name that `fitting` reads of a run is one that a cell measures: none can drift alone."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from data import origin as data_origin
from data.store.location import Location
from data.store.versioned import VersionError
from fitting import contract
from fitting.contract import COLUMNS, FIRST, METRICS, PARAMS, REQUIRED, SETTINGS
from fitting.runs.read import RecordError, read_mlflow
from harness.experiments import log_experiment, make_records
from sweeps.records import read
from sweeps.results.summary import frame
from tests.conftest import CELL
from tests.trainers.test_loop import run
from trainers import cell
from trainers.cell import Cell
from trainers.records import Record, write_record


@pytest.fixture(scope="module")
def record(packed: Path) -> Record:
    """Of a real cell, the smallest, trained to its end."""
    measured, curve, _ = run(CELL, packed)
    return Record(CELL.key, "finished", "", CELL.params(), measured, curve, 0.0, 1.0)


def test_a_cell_measures_every_metric(record: Record) -> None:
    assert set(METRICS) <= set(record.measured)


def test_a_cell_knows_every_parameter_and_setting_by_its_field() -> None:
    known = {field.name for field in fields(Cell)}
    assert set(PARAMS) <= known
    assert set(SETTINGS) <= known


def test_settings_that_came_later_have_the_same_first_default_on_both_sides() -> None:
    assert cell.FIRST == FIRST
    assert set(FIRST) <= set(SETTINGS)


def test_no_column_of_a_finished_cell_is_empty(record: Record) -> None:
    row = frame([record]).iloc[0]
    empty = [name for name in COLUMNS if name not in ("reason", "train_curve") and row[name] == ""]
    missing = [name for name in METRICS if row[name] != row[name]]
    assert empty == missing == []
    assert row["train_curve"]


@pytest.mark.parametrize("name", METRICS)
def test_a_finished_record_without_a_metric_is_refused_by_its_name(
    record: Record, name: str, tmp_path: Path
) -> None:
    cells = Location.of(tmp_path)
    write_record(cells, record)
    assert read(cells, CELL.key) == record
    renamed = {f"{key}_new" if key == name else key: v for key, v in record.measured.items()}
    write_record(cells, replace(record, measured=renamed))
    with pytest.raises(VersionError, match=rf"{CELL.key}/record.json: found no {name}, "):
        read(cells, CELL.key)


def test_the_classes_of_tokens_are_the_same_on_both_sides(record: Record) -> None:
    assert contract.ORIGINS == data_origin.ORIGINS
    measured = {name for name in contract.ORIGIN_METRICS if name in record.measured}
    shares = [record.measured[name] for name in measured if name.endswith("_share")]
    # Each of the two splits is divided whole, whatever classes it has.
    assert sum(shares) == pytest.approx(2)
    for name in measured:
        if name.endswith("_share"):
            assert {name.removesuffix("_share"), f"{name.removesuffix('_share')}_se"} <= measured


def test_a_record_from_before_classes_were_measured_is_read(record: Record, tmp_path: Path) -> None:
    cells = Location.of(tmp_path)
    old = {k: v for k, v in record.measured.items() if k not in contract.ORIGIN_METRICS}
    write_record(cells, replace(record, measured=old))
    found = read(cells, CELL.key)
    assert found is not None
    assert frame([found])["val_loss"].tolist() == [record.measured["val_loss"]]


def test_a_record_that_failed_has_measured_nothing(record: Record) -> None:
    failed = replace(record, status="failed", reason="out of memory", measured={})
    assert frame([record, failed])["status"].tolist() == ["finished", "failed"]


@pytest.mark.parametrize("name", [name for name in REQUIRED if name in METRICS])
def test_a_finished_run_of_mlflow_without_a_metric_is_named(tmp_path: Path, name: str) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    log_experiment(make_records(seeds=1, sizes=1).rename(columns={name: "other"}), uri, "drifted")
    with pytest.raises(RecordError, match=rf"run [0-9a-f]+ .* finished without {name}"):
        read_mlflow("drifted", uri)
