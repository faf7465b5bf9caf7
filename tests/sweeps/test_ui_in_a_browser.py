"""The links that `make ui` prints lead a browser to the law, without another click."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mlflow import MlflowClient

from fitting.report import log_to_mlflow, write
from fitting.runs.read import read_mlflow
from fitting.runs.tracking import SQLITE
from harness.experiments import log_experiment, make_records
from harness.serving import Served, served
from sweeps import ui
from sweeps.tracking import database
from sweeps.tracking.descriptions import of_experiment
from sweeps.tracking.gate import link

pytestmark = pytest.mark.slow

PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """MLflow with a sweep of twenty-four cells, and its laws."""
    from fitting.analysis import analyse

    out = tmp_path_factory.mktemp("runs")
    uri = f"{SQLITE}{out}/mlflow/mlflow.db"
    database.make(uri)
    log_experiment(make_records(seeds=2, sizes=6), uri, "folk", 4, "mlflow-artifacts:/folk")
    client = MlflowClient(uri)
    found = client.get_experiment_by_name("folk")
    assert found
    for tag, text in of_experiment("folk", "folk as abc").items():
        client.set_experiment_tag(found.experiment_id, tag, text)
    analysis = analyse(read_mlflow("folk", uri))
    log_to_mlflow(analysis, write(analysis, out / "report"), "folk", uri)
    with served(out, port=5650) as running:
        yield running


def opened(browser: Any, server: Served, what: str) -> Any:
    """The page behind a link."""
    page = ui.pages(f"{SQLITE}{server.out}/mlflow/mlflow.db")[f"folk, its {what}"]
    tab = browser.new_page(viewport={"width": 1600, "height": 1000})
    tab.set_default_timeout(PATIENCE_MS)
    tab.goto(link(server.port, server.token, page))
    return tab


def test_one_link_opens_the_report(server: Served, browser: Any) -> None:
    tab = opened(browser, server, "laws")
    report = tab.frame_locator("iframe")
    report.get_by_role("heading", name="Does the loss follow a law?").wait_for()
    assert report.locator("article").count() == 2
    assert server.token not in tab.url


def test_the_other_shows_all_cells_and_their_losses_by_size(server: Served, browser: Any) -> None:
    tab = opened(browser, server, "cells")
    tab.get_by_text("25 matching runs").wait_for()
    first = tab.get_by_test_id("experiment-view-compare-runs-section-header").first
    first.wait_for()
    assert (first.text_content() or "").startswith("Crescendo(3)")
    for axis in ("model/n_params", "val/val_loss"):
        tab.get_by_text(axis).first.wait_for()
    # None of them is hidden, as MLflow would have all but ten.
    shown = tab.locator(".is-visibility-toggle-checkbox")
    shown.nth(11).wait_for(state="attached")
    assert all(each.is_checked() for each in shown.all())
