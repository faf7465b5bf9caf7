"""From an experiment or a table to the files of the report."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from fitting import report
from fitting.runs.read import complete, read_mlflow
from harness.experiments import TRUE_LAWS, make_records


def test_an_mlflow_experiment_becomes_a_report(
    experiment: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, uri = experiment
    arguments = ["--experiment", name, "--tracking-uri", uri, "--out", str(tmp_path)]
    assert report.main(arguments) == 0
    fitted = json.loads((tmp_path / "fit.json").read_text())["laws"]
    for arch, (_, alpha, c) in TRUE_LAWS.items():
        low, high = fitted[arch]["alpha_interval"]
        assert low < alpha < high
        low, high = fitted[arch]["c_interval"]
        assert low < c < high
    written = {path.name for path in tmp_path.iterdir()}
    assert {"report.html", "laws.csv", "laws.tex", "loss_by_params.png"} <= written
    printed = capsys.readouterr().out
    assert "transformer  L(N) = " in printed
    assert "report.html" in printed


def test_cells_that_did_not_finish_are_said_not_hidden(
    experiment: tuple[str, str], tmp_path: Path
) -> None:
    analysis = report.analyse(read_mlflow(*experiment))
    assert {law.verdict.word for law in analysis.laws.values()} == {"weak"}
    assert "1 cell diverged" in analysis.laws["transformer"].verdict.reasons
    report.write(analysis, tmp_path)
    assert "loss is NaN at step 40" in (tmp_path / "report.html").read_text()


def test_the_fit_run_is_found_again_and_not_made_anew(
    experiment: tuple[str, str], tmp_path: Path
) -> None:
    analysis = report.analyse(read_mlflow(*experiment))
    paths = report.write(analysis, tmp_path)
    first = report.log_to_mlflow(analysis, paths, *experiment)
    assert report.log_to_mlflow(analysis, paths, *experiment, {"paid.hours": 2.5}) == first
    assert MlflowClient(experiment[1]).get_run(first).data.metrics["paid.hours"] == 2.5


def test_a_clean_grid_is_supported() -> None:
    analysis = report.analyse(complete(make_records()))
    assert [law.verdict.word for law in analysis.laws.values()] == ["supported", "supported"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("arch,n_params\nx,1\n", "missing val_loss"),
        ("arch,n_params,val_loss\nx,1e6,two\n", "row 2, column val_loss: found 'two'"),
        ("arch,n_params,val_loss\nx,1e6,2\nx,2e6,nan\n", "row 3, column val_loss: found 'nan'"),
        ("arch,n_params,val_loss\nx,1e6,-2\n", "row 2, column val_loss: found '-2'"),
        ("arch,n_params,val_loss\nx,,2\n", "row 2, column n_params: empty"),
        ("arch,n_params,val_loss\nx,1e6,2\n,2e6,2\n", "row 3, column arch: empty"),
        ("arch,n_params,val_loss,tokens\nx,1e6,2,lots\n", "row 2, column tokens: found 'lots'"),
        ("arch,n_params,val_loss\n", "no rows"),
        (
            "arch,n_params,val_loss,status\nx,1e6,,failed\n",
            "no finished cell to fit: found 1 failed",
        ),
    ],
)
def test_bad_tables_are_refused_in_one_line(
    write_table: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    text: str,
    expected: str,
) -> None:
    assert report.main(["--csv", str(write_table(text))]) == 1
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_importing_the_package_pulls_in_neither_torch_nor_ray_nor_mlflow() -> None:
    code = (
        "import sys, pathlib, importlib\n"
        "for path in pathlib.Path('fitting').rglob('*.py'):\n"
        "    importlib.import_module('.'.join(path.with_suffix('').parts))\n"
        "print(sorted({'torch', 'ray', 'mlflow', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_link_in_the_folder_of_a_report_is_written_through(tmp_path: Path) -> None:
    """The folder may be another's."""
    mine = tmp_path / "mine"
    mine.write_text("a year of work")
    out = tmp_path / "received"
    out.mkdir()
    names = ("report.html", "fit.json", "report.ipynb", "loss_by_params.png")
    for name in names:
        (out / name).symlink_to(mine)
    paths = report.write(report.analyse(complete(make_records(seeds=1, sizes=4))), out)
    assert mine.read_text() == "a year of work"
    for name in names:
        assert paths[name] == out / name
        assert (out / name).stat().st_size > 100
    assert set(out.iterdir()) == set(paths.values())
