"""MLflow's database on a disk, for users without a server: a SQLite file, with the folder
`artifacts` beside it."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path

from data.errors import one_line
from data.store.location import named
from fitting.runs.tracking import ARTIFACTS, SQLITE, THROUGH_SERVER

SHOWN = 240
"""Characters of what MLflow says."""


def make(uri: str) -> None:
    """Make the database of a `sqlite:///` URI unless it is there, or the URI is of another kind.

    It is whole, or not there: processes that open a half-made one race in its migrations.
    Raises OSError for whatever keeps MLflow from making it.
    """
    database = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or database.exists():
        return
    # Imported here because they take seconds, and most databases are there.
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import SQLAlchemyError

    (database.parent / ARTIFACTS).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=database.parent) as folder:
        made = Path(folder) / database.name
        try:
            SqlAlchemyStore(f"{SQLITE}{made}", THROUGH_SERVER).engine.dispose()
            with contextlib.closing(sqlite3.connect(made)) as connection:
                # Who reads does not wait for who writes.
                connection.execute("PRAGMA journal_mode = WAL")
        except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
            said = one_line(error)[:SHOWN]
            raise OSError(f"MLflow could not make its database {database}: {said}") from error
        named(made, database)
