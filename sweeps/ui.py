"""Open MLflow on the runs of sweeps, also while they run, until Ctrl-C.

python sweeps/ui.py --out runs
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import socket
import sys
import tempfile
from pathlib import Path

from data.errors import DataError, one_line, printable
from data.store.private import private_folder, secret
from fitting.contract import KIND, LOSS
from fitting.runs.loss import VAL_LOSS
from fitting.runs.tracking import ARTIFACTS, SQLITE, THROUGH_SERVER
from sweeps.console import complain, output, quiet
from sweeps.tracking import database
from sweeps.tracking.descriptions import VIEW
from sweeps.tracking.gate import Gate, link

SHOWN = 120
"""Characters of what MLflow says of a database."""
SWEEPS = 3
"""Those of which links are printed."""
TRAINING = "workflowType=machine_learning"
"""Asks for MLflow's pages on training, not on language models."""
CHARTS = f"{TRAINING}&viewStateShareKey={VIEW}&compareRunsMode=CHART"
PORTS = 100
"""How many are tried, from the first on."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the sweeps' folder [runs]")
    parser.add_argument("--port", type=int, default=5000, help="the first port to try [5000]")
    args = parser.parse_args()
    folder = args.out.resolve() / "mlflow"
    if not folder.is_dir():
        print(f"ui: no runs at {args.out}; make some with make sweep", file=sys.stderr)
        return 2
    try:
        token = secret(private_folder("mlflow") / "token")
        listener = listening(args.port)
    except (DataError, OSError) as error:
        complain(f"ui: {error}")
        return 1
    try:
        with quiet(folder / "server.log", verbose=False), contextlib.suppress(KeyboardInterrupt):
            serve(folder / "mlflow.db", token, listener)
    except (DataError, OSError) as error:
        complain(f"ui: {error}")
        return 1
    return 0


def listening(first: int) -> socket.socket:
    """A socket on loopback, at the first free port from `first` on. Raises OSError."""
    for port in range(first, first + PORTS):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(f"no free port between {first} and {first + PORTS - 1}; give another --port")


def pages(uri: str) -> dict[str, str]:
    """What is worth opening, newest sweep first: its name to the page in MLflow."""
    from mlflow import MlflowClient

    client, found = MlflowClient(uri), {}
    for experiment in client.search_experiments(order_by=["last_update_time DESC"]):
        here = f"/experiments/{experiment.experiment_id}/runs"
        wanted = f"tags.`{KIND}` = 'fit' and tags.`{LOSS}` = '{VAL_LOSS}'"
        for run in client.search_runs([experiment.experiment_id], wanted, max_results=1):
            report = f"{here}/{run.info.run_id}/artifacts/report.html?{TRAINING}"
            found[f"{experiment.name}, its laws"] = report
            found[f"{experiment.name}, its cells"] = f"{here}?{CHARTS}"
        if len(found) >= 2 * SWEEPS:
            break
    return found


def serve(file: Path, token: str, listener: socket.socket) -> None:
    """Serve a database, and the files beside it, to who has the token. Blocks until Ctrl-C.

    Raises DataError for a database that this MLflow cannot read.
    """
    # Where MLflow has files of fixed names.
    tempfile.tempdir = str(private_folder("mlflow"))
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    # Imported here because they take seconds, and --help does not need them.
    import uvicorn
    from mlflow.server import constants, handlers

    uri = f"{SQLITE}{file}"
    database.make(uri)
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = str(file.parent / ARTIFACTS)
    try:
        handlers.initialize_backend_stores(uri, default_artifact_root=THROUGH_SERVER)
    except Exception as error:  # Of MLflow, of SQLAlchemy, of SQLite: whatever the file holds.
        said = one_line(error)[:SHOWN]
        raise DataError(
            f"{file}: {said}; if another version of MLflow made it, copy it aside and run "
            f"`mlflow db upgrade {uri}`, or use the MLflow that made it"
        ) from None
    from mlflow.server.fastapi_app import app

    port = listener.getsockname()[1]
    # The one secret that is shown, which `say` would not.
    told = [f"MLflow   {link(port, token)}   (Ctrl-C ends it)"]
    for name, page in pages(uri).items():
        told.append(f"{printable(name)}:\n         {link(port, token, page)}")
    print("\n".join(told), file=output(), flush=True)
    # Not what MLflow does when its server starts: that looks after Docker containers.
    config = uvicorn.Config(Gate(app, token), lifespan="off", log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
