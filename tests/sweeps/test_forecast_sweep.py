"""The real command on a grid that names a target: forecast first, trained after."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient

from fitting.forecast import digest, read_json
from tests.sweeps.real_command import cell_runs, records, run, write_grid, written


@pytest.mark.long
def test_a_target_trains_after_its_forecast_and_who_changes_that_is_noticed(
    source: Path, tmp_path: Path
) -> None:
    grid = write_grid(
        tmp_path,
        source,
        name="told",
        archs="lstm",
        sizes="[3k, 4k, 6k, 9k, 12k]",
        tokens="10k",
        more="forecast: {targets: {size: 12k}}\n",
    )
    out = tmp_path / "runs"
    registered = out / "told" / "report" / "forecast.json"

    done = run(grid, out)
    assert done.returncode == 0, done.stdout + done.stderr
    text = registered.read_text()
    forecast = read_json(text)
    (prediction,) = forecast.predictions
    assert prediction.names == ("lstm-12k-seed0",)
    assert prediction.interval is not None
    ended = records(out)
    assert set(forecast.records) | set(prediction.targets) == set(ended)
    (key,) = prediction.targets
    made = datetime.fromisoformat(forecast.time).timestamp()
    for name, record in ended.items():
        if name == key:
            assert record["started"] >= made
            assert record["forecast"] == digest(text)
        else:
            assert record["ended"] <= made + 1
            assert record["forecast"] == ""
    inside = int(ended[key]["measured"]["val_loss"] in prediction.interval)
    assert f"{inside} of 1 targets fell inside the 95 % interval" in done.stdout
    page = registered.with_name("report.html")
    assert "Forecast and outcome" in page.read_text()

    client = MlflowClient(f"sqlite:///{out}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("told")
    (sweep,) = client.search_runs([experiment.experiment_id], "tags.`crescendo.kind` = 'sweep'")
    assert sweep.data.tags["crescendo.forecast"] == digest(text)
    tags = {each.data.tags["crescendo.cell_key"]: each.data.tags for each in cell_runs(out, "told")}
    assert [k for k, found in tags.items() if "crescendo.forecast" in found] == [key]
    artifacts = out / "mlflow" / "artifacts"
    assert [path.read_text() for path in artifacts.rglob("forecast.json")] == [text]

    before = written(out)
    again = run(grid, out)
    assert again.returncode == 0
    assert again.stdout.startswith("Nothing to do")
    assert written(out) == before

    changed = json.loads(text)
    changed["predictions"][0]["loss"] = ended[key]["measured"]["val_loss"]
    registered.write_text(json.dumps(changed, indent=1) + "\n")
    for said in (run(grid, out).stdout, run(grid, out, "--status").stdout):
        (line,) = [line for line in said.splitlines() if "does not count as registered" in line]
        assert "lstm-12k-seed0's record" in line
        assert "fell inside" not in said
