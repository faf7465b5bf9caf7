"""The real command on a grid whose best is trained on: killed in the middle of it, and resumed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data.store.location import Location
from tests.sweeps.real_command import cell_runs, records, run, running, write_grid, written
from trainers.best import read_bests
from trainers.chosen import choose
from trainers.export import exported
from trainers.samples.cells import finished


@pytest.mark.slow
def test_the_best_is_trained_on_heard_first_exported_and_in_no_law(
    source: Path, tmp_path: Path
) -> None:
    grid = write_grid(
        tmp_path,
        source,
        name="longer",
        archs="lstm",
        tokens="10k",
        schedule="wsd",
        more="best: {epochs: 60}\n",
    )
    out = tmp_path / "runs"
    folder = out / "longer"

    def best_saved() -> str | None:
        bests = read_bests(Location.of(folder))
        return bests.shown.cell if bests.shown and bests.shown.cell in sweep.saved() else None

    with running(grid, out, tmp_path / "log") as sweep:
        key = sweep.wait_for(best_saved)
        sweep.process.kill()
    grid_cells = records(out)
    assert len(grid_cells) == 2
    assert (folder / "report" / "report.html").exists()  # The laws did not wait for it.
    said = run(grid, out, "--status").stdout
    assert "Best: lstm-" in said
    assert "It is resumable at step" in said
    assert "The sweep is not running" in said

    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    ended = records(out)
    record = ended.pop(key)
    assert ended == grid_cells
    of = min(ended.values(), key=lambda each: each["measured"]["val_loss"])
    changed = {name for name, value in record["params"].items() if value != of["params"][name]}
    assert changed == {"tokens"}
    assert record["measured"]["epochs"] == pytest.approx(60, abs=0.1)
    # It has gone on from its own checkpoint, and before that from the trunk of its size.
    assert record["curve"][0]["time"] < record["started"]
    assert 0 < record["ran_on"]["tokens_from_trunk"] < of["params"]["tokens"]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Best: ")]
    loss = f"val_loss {record['measured']['val_loss']:.4f} (perplexity "
    assert loss in line

    report = folder / "report"
    fit = json.loads((report / "fit.json").read_text())
    assert fit["best"]["cell_key"] == key
    assert fit["about"]["facts"]["runs"] == "2 finished runs"
    with (report / "runs.csv").open() as file:
        assert {row["cell_key"] for row in csv.DictReader(file)} == set(ended)
    assert "<h2>The best, trained on</h2>" in (report / "report.html").read_text()
    heard = (report / "samples.html").read_text()
    first = heard[heard.index("<h2>The best model</h2>") :].partition("<div class=title>")[2]
    assert first.startswith(f"lstm {of['params']['size']}, best, 60 epochs, no. 1<")
    (meant,) = choose(finished(Location.of(folder / "cells")), None, best=True)
    assert meant.cell.key == key
    assert exported(Location.of(folder / "best"))["cell"] == key

    client = MlflowClient(f"sqlite:///{out}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("longer")
    (mine,) = client.search_runs([experiment.experiment_id], "tags.`crescendo.kind` = 'best'")
    assert mine.data.tags["crescendo.cell_key"] == key
    assert mine.info.run_name == meant.name
    assert mine.data.tags["mlflow.note.content"].startswith("Best, 60 epochs, in no law: lstm of")
    assert {each.data.tags["crescendo.cell_key"] for each in cell_runs(out, "longer")} == set(ended)

    # The part that was killed is counted as well, and MLflow has the sums.
    ledger = json.loads((folder / "ledger.json").read_text())
    assert set(ledger["cells"]) == {key, *ended}
    first, _, last = (stretch["ended"] - stretch["began"] for stretch in ledger["ran"])
    assert min(first, last) > 0
    assert fit["paid"]["unit"] == "core-hours"
    assert "Cells that went on after one: 1;" in (report / "report.html").read_text()
    (fitted,) = client.search_runs([experiment.experiment_id], "tags.`crescendo.kind` = 'fit'")
    assert fitted.data.metrics["paid.hours"] == pytest.approx(fit["paid"]["hours"])
    assert "Paid: " in done.stdout

    before = written(out)
    again = run(grid, out)
    assert again.returncode == 0
    assert again.stdout.startswith("Nothing to do: all 2 cells of longer have ended.\n")
    assert loss in again.stdout
    assert written(out) == before
