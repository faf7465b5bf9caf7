"""MLflow, as a report meets it: found, or one line on how to find it. It makes no experiment."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fitting.runs.csv_file import RecordError

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

# Whoever uses MLflow here imports this file first. Left to itself, MLflow tells its makers what it
# is used for, and takes minutes to find out that nothing answers: seven tries of two minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

SQLITE = "sqlite:///"
OF_SWEEPS = f"{SQLITE}runs/mlflow/mlflow.db"
"""Where sweeps keep their runs, unless they are told otherwise."""
ARTIFACTS = "artifacts"
"""The folder of files, beside a database of ours."""
THROUGH_SERVER = "mlflow-artifacts:/"
"""How a place of files begins that is below ARTIFACTS, for a server and for us."""
WHERE = (
    "The database of your sweeps is mlflow/mlflow.db in their folder, such as "
    f"--tracking-uri {OF_SWEEPS}"
)


def find(experiment: str, tracking_uri: str) -> tuple[MlflowClient, Experiment]:
    """The experiment of this name. RecordError where there is none, or no MLflow."""
    if tracking_uri.startswith(SQLITE) and not Path(tracking_uri.removeprefix(SQLITE)).exists():
        # MLflow would make the database, with an empty experiment in it.
        raise RecordError(f"{tracking_uri}: no such database. {WHERE}")
    # Imported here because mlflow takes seconds to load, and a table does not need it.
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=tracking_uri)
        found = client.get_experiment_by_name(experiment)
        known = [] if found else [e.name for e in client.search_experiments(max_results=20)]
    except Exception as error:  # Of a file that is no database, SQLAlchemy's or SQLite's own.
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise RecordError(f"{tracking_uri}: {said}. {WHERE}") from error
    if found is None:
        raise RecordError(
            f"{tracking_uri}: no experiment {experiment!r}; found {', '.join(known) or 'none'}"
        )
    return client, found


def beside(tracking_uri: str) -> Path | None:
    """The folder of files beside a database of ours; None if this is another, or a server."""
    if not tracking_uri.startswith(SQLITE):
        return None
    folder = Path(tracking_uri.removeprefix(SQLITE)).parent / ARTIFACTS
    return folder if folder.is_dir() else None


def refuse_without_server(experiment: Experiment, tracking_uri: str) -> None:
    """RecordError where files of the experiment go through a server alone, and this is none."""
    through_server = experiment.artifact_location.startswith(THROUGH_SERVER)
    served = tracking_uri.startswith(("http://", "https://"))
    if through_server and not served and beside(tracking_uri) is None:
        raise RecordError(
            f"{tracking_uri}: the report of {experiment.name!r} can be logged only through its "
            "server: give the server's address as --tracking-uri"
        )


def log_file(client: MlflowClient, run: Run, file: Path) -> None:
    """Keep a file with a run: through the server or, without one, where a server would keep it."""
    folder, uri = beside(client.tracking_uri), run.info.artifact_uri
    if folder is None:
        client.log_artifact(run.info.run_id, str(file))
        return
    # A database that was received may name any place, as a path, a file:// or a bucket.
    through = uri.startswith(THROUGH_SERVER)
    inside = uri.removeprefix(THROUGH_SERVER).lstrip("/")
    place = folder / inside if through else Path(uri.removeprefix("file://"))
    if not place.resolve().is_relative_to(folder.resolve()):
        raise RecordError(f"{client.tracking_uri}: files of a run go to {place}, outside {folder}")
    place.mkdir(parents=True, exist_ok=True)
    # A file that is there may be a link, which a copy over it would follow.
    with tempfile.TemporaryDirectory(dir=place) as aside:
        os.replace(shutil.copyfile(file, Path(aside) / file.name), place / file.name)
