"""The files of a report: figures, notebook and fit.json say what the analysis found."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fitting import report
from fitting.analysis import Analysis, analyse
from fitting.compare.comparison import Crossing, NotCompared
from fitting.export.tables import fit_json
from fitting.law.intervals import Interval
from fitting.page.about import About
from fitting.runs.read import complete
from harness.experiments import make_records, with_origins
from tests.fitting.conftest import make_isoflop_records
from tests.fitting.test_outcomes import reviewed

FIELDS = Path(__file__).parents[2] / "docs" / "fit.md"


@pytest.fixture(scope="module")
def small() -> Analysis:
    return analyse(complete(make_records(seeds=1, sizes=5)))


@pytest.fixture(scope="module")
def budgets() -> Analysis:
    """Five sizes at each of three computes, some of them over repeated data."""
    records = make_isoflop_records()
    return analyse(complete(records[(records.index % 9 % 2 == 0) & (records.index < 27)]))


@pytest.fixture(scope="module")
def folder(small: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    report.write(small, out)
    return out


def test_each_figure_is_written_for_the_screen_and_for_print(folder: Path) -> None:
    for name in ("loss_by_params", "residuals"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n")
        assert "</svg>" in (folder / f"{name}.svg").read_text()


def test_the_notebook_is_one_that_jupyter_opens(folder: Path) -> None:
    notebook = json.loads((folder / "report.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    identities = [cell["id"] for cell in notebook["cells"]]
    assert len(set(identities)) == len(identities)
    for cell in notebook["cells"]:
        wanted = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            wanted |= {"execution_count", "outputs"}
        assert set(cell) == wanted


def test_the_notebook_was_run_and_shows_tables_and_pictures(folder: Path) -> None:
    code = [c for c in json.loads((folder / "report.ipynb").read_text())["cells"] if "outputs" in c]
    assert all(cell["outputs"] for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "execute_result"}
    shown = {kind for output in outputs for kind in output.get("data", ())}
    assert {"text/plain", "text/html", "image/png"} <= shown


def test_the_notebook_names_the_same_law_as_fit_json(folder: Path) -> None:
    laws = json.loads((folder / "fit.json").read_text())["laws"]
    text = (folder / "report.ipynb").read_text()
    for arch, law in laws.items():
        assert f"{arch}  L(N) = {law['a']:.3g} N^-{law['alpha']:.3g} + {law['c']:.3g}" in text
    assert str(folder) not in text


def test_repeated_data_are_spoken_of_in_the_page_or_the_reason_why_not(
    small: Analysis, folder: Path
) -> None:
    note = small.laws["lstm"].repeated_note
    assert note.startswith("The runs saw their data 1.3 times, at too few token budgets")
    assert note in (folder / "report.html").read_text()


def test_r_star_is_told_only_with_what_was_said_of_it(budgets: Analysis) -> None:
    law = budgets.laws["transformer"]
    assert law.repeated_note.startswith("The runs saw their data 1.0 to")
    written = fit_json(budgets)["laws"]["transformer"]["repeated_data"]
    if law.repeated is None:
        assert written["r_star"] is None
        assert "cannot be told" in law.repeated_note
    else:
        assert f"R* = {written['r_star']:.3g}" in law.repeated_note


def test_the_fields_of_fit_json_are_the_documented_ones(small: Analysis, budgets: Analysis) -> None:
    pair = small.comparisons[0]
    told = replace(
        small,
        comparisons=(replace(pair, crossing=Crossing(1e4, Interval(5e3, 2e4))),),
        not_compared=(NotCompared("lstm", "gpt", "the runs of gpt show no law"),),
    )
    by_origin = analyse(complete(with_origins(make_records(seeds=1, sizes=5))))
    by_origin = replace(by_origin, baselines={"5-gram": {"val_loss": 1.8}})
    written = _names(fit_json(told)) | _names(fit_json(budgets)) | _names(fit_json(by_origin))
    written |= _names({"forecast": reviewed().to_json()})
    written |= _names({"about": About("A", {"corpus": "folk"}).to_json()})
    documented = set(re.findall(r"^\| `([^`]+)` \|", FIELDS.read_text(), re.MULTILINE))
    assert documented == written


def _names(value: Any, path: str = "") -> set[str]:
    """Dotted names of everything in a JSON value; `ARCH` for an architecture, `LABEL` for a fact's
    label, `NAME` and `MEASURE` for a baseline and what it measured, [] for a list."""
    if isinstance(value, list):
        return {name for item in value if isinstance(item, dict) for name in _names(item, path)}
    if not isinstance(value, dict):
        return set()
    found = set()
    placeholders = {"laws.": "ARCH", "about.facts.": "LABEL", "baselines.": "NAME"}
    for key, inner in value.items():
        named = placeholders.get(path, "MEASURE" if path == "baselines.NAME." else key)
        name = f"{path}{named}"
        found |= {name} | _names(inner, f"{name}{'[]' if isinstance(inner, list) else ''}.")
    return found
