"""A law of any measured quantity that falls: chosen by its column, named wherever it is shown."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from fitting import report
from fitting.analysis import Analysis, analyse
from fitting.export.all_plots import all_plots
from fitting.page import report_page
from fitting.runs.csv_file import RecordError
from fitting.runs.read import complete, read_csv, read_mlflow
from harness.experiments import log_experiment, make_records
from tests.fitting.conftest import make_isoflop_records

Write = Callable[[str], Path]


def with_error(records: pd.DataFrame) -> pd.DataFrame:
    """The share of tokens not among the five likeliest, .6 N^-.25 + .1, beside the loss."""
    noise = 1 + 0.003 * np.random.default_rng(1).standard_normal(len(records))
    error = (0.6 * records["n_params"] ** -0.25 + 0.1) * noise
    return records.assign(
        val_top5_error=error, val_top5_error_se=0.001, val_top5_accuracy=1 - error
    )


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return with_error(make_records())


@pytest.fixture(scope="module")
def top5(records: pd.DataFrame) -> Analysis:
    return analyse(complete(records), loss="val_top5_error")


def parameters(analysis: Analysis) -> dict[str, tuple[float, float, float]]:
    return {arch: (law.a, law.alpha, law.c) for arch, law in analysis.laws.items()}


def test_the_law_is_that_of_the_named_column(top5: Analysis) -> None:
    for law in top5.laws.values():
        assert law.alpha == pytest.approx(0.25, abs=0.05)
        assert 0.1 in law.c_interval
        assert law.by_unit == ()


def test_the_other_measures_stay_in_the_records_under_their_own_names(
    records: pd.DataFrame, top5: Analysis
) -> None:
    assert top5.records["val_loss"].tolist() == records["val_loss"].tolist()
    assert top5.records["val_top5_error"].tolist() == records["val_top5_error"].tolist()


@pytest.mark.parametrize("column", ["test_loss", "val_loss_per_note", "any"])
def test_a_column_that_equals_val_loss_gives_its_law(column: str) -> None:
    records = complete(make_records(seeds=1, sizes=5))
    same = records.assign(**{column: records["val_loss"], f"{column}_se": records["val_loss_se"]})
    one, two = analyse(records), analyse(same, loss=column)
    assert parameters(two) == parameters(one)
    assert [law.c_interval for law in two.laws.values()] == [
        law.c_interval for law in one.laws.values()
    ]


def test_without_a_column_of_standard_errors_that_of_another_loss_is_not_taken(
    records: pd.DataFrame, top5: Analysis
) -> None:
    bare = analyse(complete(records.drop(columns="val_top5_error_se")), loss="val_top5_error")
    for arch, law in bare.laws.items():
        wider = top5.laws[arch].c_interval
        assert law.c_interval.high < wider.high
    assert "without a column val_top5_error_se" in bare.notes[0]


def test_the_report_names_the_loss_and_claims_no_unit_for_it(
    top5: Analysis, tmp_path: Path
) -> None:
    paths = report.write(top5, tmp_path)
    said = "The loss is val_top5_error, as the runs recorded it; val_top5_error_se is its standard"
    assert any(said in line for line in top5.lines())
    page = paths["report.html"].read_text()
    assert said in page
    assert "L: val_top5_error, as the runs recorded it." in page
    assert all_plots(top5)["law"].y == "val_top5_error"
    written = json.loads(paths["fit.json"].read_text())
    assert (written["loss_column"], written["loss_unit"]) == ("val_top5_error", "val_top5_error")
    fitted = written["laws"]["lstm"]["fitted"][0]
    assert fitted["loss"] < 1
    assert "val_loss" not in fitted
    assert {pair["unit"] for pair in written["comparisons"]} == {"val_top5_error"}
    notebook = paths["report.ipynb"].read_text()
    assert 'loss=\\"val_top5_error\\"' in notebook
    assert '"output_type": "error"' not in notebook
    assert f"alpha {top5.laws['lstm'].alpha:.3g}" in notebook
    laws = pd.read_csv(paths["laws.csv"])
    assert set(laws["loss"]) == {"val_top5_error"}
    # What a training curve shows remains what it was.
    for text in (page, json.dumps(written), "\n".join(top5.lines())):
        assert "nats per token" not in text.replace("training loss, nats per token", "")


def test_a_surface_of_another_loss_claims_no_unit_either() -> None:
    records = make_isoflop_records(unique=1e12).rename(columns={"val_loss": "error"})
    found = analyse(complete(records), loss="error")
    assert found.laws["transformer"].leading_surface
    page = report_page.html(found)
    assert "E, error" in page
    assert "nats per token" not in page.replace("training loss, nats per token", "")


def test_a_known_loss_is_named_with_its_unit() -> None:
    found = analyse(complete(make_records()), loss="val_loss_per_note")
    assert found.notes[0].startswith(
        "The loss is val_loss_per_note, nats per note over the whole validation split;"
    )
    assert all_plots(found)["law"].y == "validation loss, nats per note"
    assert {pair.unit for pair in found.comparisons} == {"nats per note"}


@pytest.mark.parametrize(
    ("column", "compared"),
    [("val_loss_per_note", True), ("test_loss", False), ("val_top5_error", False)],
)
def test_tokenizers_are_compared_only_by_a_loss_that_means_the_same_for_each(
    records: pd.DataFrame, column: str, compared: bool
) -> None:
    of = records["arch"].map({"lstm": "abc", "transformer": "remi"})
    found = analyse(complete(records.assign(tokenizer=of)), loss=column)
    assert bool(found.comparisons) == compared
    if not compared:
        (pair,) = found.not_compared
        assert pair.reason == f"their tokenizers differ, and {column} may depend on the tokenizer"


def test_a_score_that_rises_is_refused_with_what_to_do(records: pd.DataFrame) -> None:
    expected = r"^val_top5_accuracy rises with parameters; .* a column 1 - val_top5_accuracy$"
    with pytest.raises(RecordError, match=expected):
        analyse(complete(records), loss="val_top5_accuracy")


def test_a_value_that_is_not_above_0_is_refused_with_what_to_do(records: pd.DataFrame) -> None:
    expected = r"of lstm at N = 3,000: found 0; expected a number above 0 that falls .* 1 - "
    values = records["val_top5_accuracy"].where(records["cell_key"] != "lstm-3000-0", 0)
    with pytest.raises(RecordError, match=expected):
        analyse(complete(records.assign(val_top5_accuracy=values)), loss="val_top5_accuracy")


def test_runs_that_did_not_measure_it_are_left_out_and_said(records: pd.DataFrame) -> None:
    old = records["cell_key"] == "lstm-3000-0"
    some = records.assign(val_top5_error=records["val_top5_error"].mask(old))
    law = analyse(complete(some), loss="val_top5_error").laws["lstm"]
    assert law.selection.left_out["why"].tolist() == ["finished without a usable loss or n_params"]
    assert "1 cell finished without a usable loss" in law.verdict.reasons


def test_a_table_needs_the_named_loss_in_place_of_val_loss(write_table: Write) -> None:
    path = write_table("arch,n_params,error,error_se\nx,1e3,.5,.01\nx,1e4,,\n")
    records = read_csv(path, loss="error")
    assert records["error"].tolist() == pytest.approx([0.5, float("nan")], nan_ok=True)
    assert records["error_se"][0] == 0.01
    assert "notes" not in records.attrs


def test_a_loss_that_is_no_column_is_refused_with_those_there_are(
    write_table: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_table("arch,n_params,val_loss,accuracy\nx,1e3,2,.5\n")
    assert report.main(["--csv", str(path), "--loss", "val_eror"]) == 1
    error = capsys.readouterr().err
    assert "no column has val_eror; --loss takes" in error
    assert error.endswith("found val_loss, accuracy\n")


@pytest.fixture(scope="module")
def logged(records: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(name, tracking URI) of an experiment with the two measures beside the loss."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('loss') / 'mlflow.db'}"
    log_experiment(records[records["seed"] == 0], uri, "top5")
    return "top5", uri


def test_whatever_was_logged_to_mlflow_is_a_loss_by_its_name(
    logged: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, uri = logged
    source = ["--experiment", name, "--tracking-uri", uri, "--out", str(tmp_path)]
    assert report.main([*source, "--loss", "val_top5_error"]) == 0
    assert "The loss is val_top5_error" in capsys.readouterr().out
    assert report.main([*source, "--loss", "val_mrr"]) == 1
    error = capsys.readouterr().err
    assert "no finished run has val_mrr; --loss takes" in error
    assert "val_top5_accuracy, val_top5_error" in error
    assert error.count("\n") == 1


def test_the_laws_of_each_loss_have_a_run_of_their_own_in_mlflow(
    logged: tuple[str, str], tmp_path: Path
) -> None:
    read = read_mlflow(*logged)
    of_loss, of_error = analyse(read), analyse(read, loss="val_top5_error")
    one, two, again = (
        report.log_to_mlflow(each, {}, *logged) for each in (of_loss, of_error, of_loss)
    )
    assert one == again != two
    logged_alpha = MlflowClient(logged[1]).get_run(one).data.metrics["lstm.alpha"]
    assert logged_alpha == of_loss.laws["lstm"].alpha


@pytest.mark.parametrize("loss", ["val_loss", "val_top5_error"])
def test_the_table_of_runs_gives_the_same_laws(
    records: pd.DataFrame, tmp_path: Path, loss: str
) -> None:
    few = records[records["seed"] == 0].assign(optimizer="adamw")
    extra = few.iloc[[0, 9]].assign(status=["diverged", "running"], val_loss=[np.inf, np.nan])
    extra = extra.assign(reason=["loss is inf, at step 40", ""])
    varied = pd.concat([few, extra, few[few["arch"] == "lstm"].assign(optimizer="sgd")])
    keys = [str(row) for row in range(len(varied))]
    first = analyse(complete(varied.assign(cell_key=keys).reset_index(drop=True)), loss=loss)
    assert len(first.laws) == 3
    paths = report.write(first, tmp_path)
    second = analyse(read_csv(paths["runs.csv"], loss=loss), loss=loss)
    assert [law.lines("N") for law in second.laws.values()] == [
        law.lines("N") for law in first.laws.values()
    ]
    assert parameters(second) == parameters(first)
