"""MLflow that is not there, or not served, is told in one line, and nothing is written."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient

from fitting import report
from fitting.contract import KIND, STATUS, grouped, ungrouped
from fitting.runs.read import read_mlflow
from fitting.runs.tracking import log_file
from harness.experiments import log_experiment, make_records


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite:///{here}/mlflow.db", "mlruns"])
def test_mlflow_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], uri: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = ["--experiment", "folk", "--tracking-uri", uri.format(here=tmp_path)]
    assert report.main(source) == 1
    error = capsys.readouterr().err
    assert "is mlflow/mlflow.db in their folder" in error
    assert "--tracking-uri sqlite:///runs/mlflow/mlflow.db" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_of_a_server_is_not_logged_to_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it keeps files is not known; its rows lie in SQLite, and are read."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    records = make_records(seeds=1, sizes=4)
    log_experiment(records, uri, "served", curve_points=1, artifacts="mlflow-artifacts:/1")
    capsys.readouterr()  # What MLflow says of the database that it makes here.
    out = tmp_path / "report"
    source = ["--experiment", "served", "--tracking-uri", uri, "--out", str(out)]
    assert report.main(source) == 1
    error = capsys.readouterr().err
    assert "can be logged only through its server: give the server's address" in error
    assert error.count("\n") == 1
    assert not out.exists()
    assert len(read_mlflow("served", uri)) == 8


def test_metrics_of_before_there_were_groups_are_read_alike(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("both")
    ways: list[Callable[[str], str]] = [str, grouped]
    for seed, name in enumerate(ways):
        run = client.create_run(experiment, tags={KIND: "cell", STATUS: "finished"}).info.run_id
        for key, value in {"arch": "lstm", "size": "4k", "seed": seed, "lr": 0.01}.items():
            client.log_param(run, key, value)
        measured = {"n_params": 4000, "val_loss": 2.0, "tokens": 512, "of/others": 3, "my_own": 4}
        for key, value in measured.items():
            client.log_metric(run, key if "/" in key else name(key), value)
        client.log_metric(run, name("train_loss"), 2.5, step=256)
    read = read_mlflow("both", uri).sort_values("seed")
    for column in ("n_params", "val_loss", "tokens", "of/others", "my_own"):
        assert read[column].nunique() == 1, column
    assert list(read["train_curve"]) == [[(256, 2.5)], [(256, 2.5)]]


@given(st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1))
def test_a_quantity_comes_back_from_its_name_in_mlflow(name: str) -> None:
    assert ungrouped(grouped(name)) == ungrouped(name) == name


def logged(folder: Path, place: str) -> int:
    """Logs a report to an experiment whose files go to `place`, in a database of ours."""
    (folder / "artifacts").mkdir()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    records = make_records(seeds=1, sizes=4)
    log_experiment(records, uri, "ours", curve_points=1, artifacts=place)
    source = ["--experiment", "ours", "--tracking-uri", uri, "--out", str(folder / "report")]
    return report.main(source)


def test_in_a_database_of_ours_files_go_where_its_server_looks_for_them(tmp_path: Path) -> None:
    """Also in one of before, whose sweeps logged through a server."""
    assert logged(tmp_path, "mlflow-artifacts:/1") == 0
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs(["1"], "tags.`crescendo.kind` = 'fit'")
    kept = tmp_path / "artifacts" / "1" / run.info.run_id / "artifacts" / "report.html"
    assert kept.read_text() == (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize(
    "place",
    ["mlflow-artifacts:/../../planted", "{here}/planted", "file://{here}/planted", "s3://b"],
)
def test_a_run_whose_files_would_go_elsewhere_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "mlflow").mkdir()
    assert logged(tmp_path / "mlflow", place.format(here=tmp_path)) == 1
    assert "outside" in capsys.readouterr().err
    assert not (tmp_path / "planted").exists()


def test_a_file_that_is_no_database_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"garbage" * 1000)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert report.main(["--experiment", "folk", "--tracking-uri", uri]) == 1
    error = capsys.readouterr().err
    assert "not a database" in error
    assert error.count("\n") == 1


def test_a_link_in_place_of_a_logged_file_is_not_followed(tmp_path: Path) -> None:
    assert logged(tmp_path, "mlflow-artifacts:/1") == 0
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    (run,) = client.search_runs(["1"], "tags.`crescendo.kind` = 'fit'")
    kept = tmp_path / "artifacts" / "1" / run.info.run_id / "artifacts" / "report.html"
    kept.unlink()
    (tmp_path / "mine").write_text("a year of work")
    kept.symlink_to(tmp_path / "mine")
    log_file(client, run, tmp_path / "report" / "report.html")
    assert (tmp_path / "mine").read_text() == "a year of work"
    assert kept.read_bytes() == (tmp_path / "report" / "report.html").read_bytes()
