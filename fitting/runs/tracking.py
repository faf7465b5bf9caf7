"""MLflow, as a report meets it: found, or one line on how to find it. Nothing is made in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fitting.runs.csv_file import RecordError

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient

SQLITE = "sqlite:///"
ADDRESS = "http://127.0.0.1:5000"
"""Where the server of our own sweeps listens, unless the port is taken."""
SERVE = (
    "Start the server of your sweeps with `make ui` or `python sweeps/ui.py --out runs`, and give "
    f"the address that it prints, such as --tracking-uri {ADDRESS}"
)


def find(experiment: str, tracking_uri: str) -> tuple[MlflowClient, Experiment]:
    """The experiment of this name. RecordError where there is none, or no MLflow."""
    if tracking_uri.startswith(SQLITE) and not Path(tracking_uri.removeprefix(SQLITE)).exists():
        # MLflow would make the database, with an empty experiment in it.
        raise RecordError(f"{tracking_uri}: no such database. {SERVE}")
    # Its default, seven tries, takes minutes to find out that nothing answers.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    # Imported here because mlflow takes seconds to load, and a table does not need it.
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=tracking_uri)
        found = client.get_experiment_by_name(experiment)
        known = [] if found else [e.name for e in client.search_experiments(max_results=20)]
    except MlflowException as error:
        raise RecordError(f"{tracking_uri}: {str(error).splitlines()[0]}. {SERVE}") from error
    if found is None:
        raise RecordError(
            f"{tracking_uri}: no experiment {experiment!r}; found {', '.join(known) or 'none'}"
        )
    return client, found


def refuse_without_server(experiment: Experiment, tracking_uri: str) -> None:
    """RecordError where files of the experiment go through its server, and this is not one."""
    through_server = experiment.artifact_location.startswith("mlflow-artifacts:/")
    if through_server and not tracking_uri.startswith(("http://", "https://")):
        raise RecordError(
            f"{tracking_uri}: the report of {experiment.name!r} can be logged only through its "
            f"server. {SERVE}"
        )
