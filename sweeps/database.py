"""MLflow's database on a disk, for users without a server: a SQLite file, with the folder
`artifacts` beside it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path

from fitting.runs.tracking import ARTIFACTS, SQLITE, THROUGH_SERVER


def make(uri: str) -> None:
    """Make the database of a `sqlite:///` URI unless it is there, or the URI is of another kind.

    It is whole, or not there: processes that open a half-made one race in its migrations.
    """
    database = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or database.exists():
        return
    # Imported here because it takes seconds, and most databases are there.
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    (database.parent / ARTIFACTS).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=database.parent) as folder:
        made = Path(folder) / database.name
        SqlAlchemyStore(f"{SQLITE}{made}", THROUGH_SERVER).engine.dispose()
        with contextlib.closing(sqlite3.connect(made)) as connection:
            # Who reads does not wait for who writes.
            connection.execute("PRAGMA journal_mode = WAL")
        with contextlib.suppress(FileExistsError):
            os.link(made, database)
