"""MLflow's database is whole, or not there; and why it is not is a line."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from fitting.runs.tracking import SQLITE
from sweeps.tracking import database

STORE = "mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore"


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("Detected out-of-date\ndatabase schema"),
        OperationalError("CREATE TABLE", {}, Exception("Detected out-of-date\ndatabase schema")),
        sqlite3.OperationalError("Detected out-of-date database schema"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_keeps_mlflow_from_making_it_is_told_in_a_line(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STORE, failing(error))
    file = tmp_path / "mlflow" / "mlflow.db"
    with pytest.raises(OSError, match="Detected out-of-date database schema") as raised:
        database.make(f"{SQLITE}{file}")
    assert str(raised.value).startswith(f"MLflow could not make its database {file}: ")
    assert "\n" not in str(raised.value)
    assert os.listdir(file.parent) == ["artifacts"]


def test_it_is_made_once_also_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", failing(PermissionError(errno.EPERM, "not permitted")))
    file = tmp_path / "mlflow" / "mlflow.db"
    for _ in range(2):
        database.make(f"{SQLITE}{file}")
    with contextlib.closing(sqlite3.connect(file)) as made:
        assert made.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    assert sorted(os.listdir(file.parent)) == ["artifacts", "mlflow.db"]
