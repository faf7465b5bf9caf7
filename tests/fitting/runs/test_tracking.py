"""MLflow that is not there, or not served, is told in one line, and nothing is written."""

from pathlib import Path

import pytest

from fitting import report
from fitting.runs.read import read_mlflow
from harness.experiments import log_experiment, make_records


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite:///{here}/mlflow.db", "mlruns"])
def test_mlflow_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], uri: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = ["--experiment", "folk", "--tracking-uri", uri.format(here=tmp_path)]
    assert report.main(source) == 1
    error = capsys.readouterr().err
    assert "Start the server of your sweeps with `make ui` or `python sweeps/ui.py" in error
    assert "--tracking-uri http://127.0.0.1:5000" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_of_a_server_is_not_logged_to_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As our own server makes experiments: their files go through it, their rows lie in SQLite."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    records = make_records(seeds=1, sizes=4)
    log_experiment(records, uri, "served", curve_points=1, artifacts="mlflow-artifacts:/1")
    capsys.readouterr()  # What MLflow says of the database that it makes here.
    out = tmp_path / "report"
    source = ["--experiment", "served", "--tracking-uri", uri, "--out", str(out)]
    assert report.main(source) == 1
    error = capsys.readouterr().err
    assert "can be logged only through its server. Start the server" in error
    assert error.count("\n") == 1
    assert not out.exists()
    assert len(read_mlflow("served", uri)) == 8
