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

# Whoever uses MLflow here imports this file first: MLflow tells its makers what it is used for
# unless it is told not to.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

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
    # Its default, seven tries, takes minutes to find out that nothing answers.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    # Two minutes by default, for each.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    # Imported here because mlflow takes seconds to load, and a table does not need it.
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=tracking_uri)
        found = client.get_experiment_by_name(experiment)
        known = [] if found else [e.name for e in client.search_experiments(max_results=20)]
    except MlflowException as error:
        raise RecordError(f"{tracking_uri}: {str(error).splitlines()[0]}. {WHERE}") from error
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
    folder = beside(client.tracking_uri)
    if folder is None or not run.info.artifact_uri.startswith(THROUGH_SERVER):
        client.log_artifact(run.info.run_id, str(file))
        return
    place = folder / run.info.artifact_uri.removeprefix(THROUGH_SERVER).lstrip("/")
    if not place.resolve().is_relative_to(folder.resolve()):
        raise RecordError(f"{client.tracking_uri}: files of a run go to {place}, outside {folder}")
    place.mkdir(parents=True, exist_ok=True)
    # A file that is there may be a link, which a copy over it would follow.
    with tempfile.TemporaryDirectory(dir=place) as aside:
        os.replace(shutil.copyfile(file, Path(aside) / file.name), place / file.name)
