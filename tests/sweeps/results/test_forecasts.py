"""Targets wait for their forecast; it is written once; what is amiss is one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.errors import printable
from data.store.location import Location
from data.store.manifest import Manifest
from fitting.contract import METRICS
from fitting.forecast import digest, read_json
from sweeps.errors import GridError
from sweeps.results import forecasts
from sweeps.sweep import Sweep
from trainers.cell import Cell
from trainers.records import Record, write_record

GRID = """\
data: {source: folk}
cells: {arch: lstm, size: [3k, 4k, 6k, 9k, 12k], seed: [0, 1], tokens: 10k}
training: {batch_tokens: 512, context: 64}
forecast: {targets: {size: 12k}}
"""


class Registry:
    """Stands for the tracker's handle."""

    def __init__(self) -> None:
        self.kept: list[tuple[Any, ...]] = []
        self.register = SimpleNamespace(remote=lambda *what: self.kept.append(what))


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """A sweep whose data look prepared; no MLflow answers."""
    monkeypatch.setattr(forecasts, "in_mlflow", lambda sweep, uri: None)
    (tmp_path / "told.yaml").write_text(GRID)
    made = Sweep(str(tmp_path / "told.yaml"), (), Location.of(tmp_path / "runs"))
    manifest = Manifest("fake", "stand-in", "abc", 24, 139, 0, {}, {}, {}, {})
    (made.data("abc") / "manifest.json").write_text(json.dumps(asdict(manifest)))
    return made


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(forecasts, "say", lines.append)
    return lines


def end(sweep: Sweep, cells: list[Cell], status: str = "finished", forecast: str = "") -> None:
    for cell in cells:
        n = cell.rung.counts.n_params
        known = {"n_params": n, "tokens": cell.tokens, "val_loss": 5 * n**-0.3 + 1 + cell.seed}
        measured = dict.fromkeys(METRICS, 1.0) | known
        found = measured if status == "finished" else {}
        record = Record(cell.key, status, "", cell.params(), found, [], 1.0, 2.0, forecast)
        write_record(sweep.cells, record)


def parted(sweep: Sweep) -> tuple[list[Cell], list[Cell]]:
    """The cells to train first, and the targets."""
    cells = sweep.resolve()
    return [c for c in cells if c.size != "12k"], [c for c in cells if c.size == "12k"]


def registered(sweep: Sweep, registry: Registry | None = None) -> dict[str, str] | None:
    targets = parted(sweep)[1]
    return forecasts.registered(sweep, sweep.resolve(), targets, registry or Registry(), "")


def test_the_sweep_lists_its_targets_and_remembers_them(sweep: Sweep) -> None:
    for listed in (sweep.listed(), sweep.listed()):
        assert {c.fields["size"] for c in listed if c.target} == {"12k"}
        assert sum(c.target for c in listed) == 2


def test_targets_wait_until_every_other_cell_has_ended(sweep: Sweep, said: list[str]) -> None:
    base, _ = parted(sweep)
    end(sweep, base[1:])
    assert registered(sweep) is None
    assert said == ["The targets wait for other cells to end: 1; the same command goes on."]
    assert not sweep.forecast.exists()
    end(sweep, base[:1], status="failed")
    assert len(registered(sweep) or {}) == 2


def test_every_target_carries_the_digest_of_what_was_written_and_logged(sweep: Sweep) -> None:
    base, targets = parted(sweep)
    end(sweep, base)
    registry = Registry()
    told = registered(sweep, registry)
    text = sweep.forecast.read_text()
    assert told == {cell.key: digest(text) for cell in targets}
    assert registry.kept == [(text, digest(text), True)]
    made = read_json(text)
    assert list(made.targets) == [cell.key for cell in targets]
    assert list(made.records) == sorted(cell.key for cell in base)


def test_a_forecast_is_never_written_again(sweep: Sweep) -> None:
    base, targets = parted(sweep)
    end(sweep, base)
    registered(sweep)
    text = sweep.forecast.read_text()
    end(sweep, base, status="failed")
    end(sweep, targets[:1], forecast=digest(text))
    registry = Registry()
    told = registered(sweep, registry)
    assert sweep.forecast.read_text() == text
    assert registry.kept == [(text, digest(text), False)]
    assert told == {cell.key: digest(text) for cell in targets}


def test_a_target_that_joined_later_carries_no_forecast(sweep: Sweep) -> None:
    base, _ = parted(sweep)
    end(sweep, base)
    registered(sweep)
    grid = Path(sweep.grid_name)
    grid.write_text(GRID.replace("12k]", "12k, 20k]").replace("12k}", "[12k, 20k]}"))
    grown = replace(sweep)
    cells = grown.resolve()
    told = forecasts.registered(grown, cells, cells, Registry(), "") or {}
    assert {cell.size for cell in cells if cell.key in told} == {"12k"}


def test_what_mlflow_holds_is_what_targets_carry(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, targets = parted(sweep)
    end(sweep, base)
    registered(sweep)
    first = digest(sweep.forecast.read_text())
    sweep.forecast.write_text(sweep.forecast.read_text().replace('"level": 0.95', '"level": 0.99'))
    monkeypatch.setattr(forecasts, "in_mlflow", lambda sweep, uri: first)
    assert registered(sweep) == {cell.key: first for cell in targets}
    end(sweep, targets, forecast=first)
    review = forecasts.reviewed(sweep)
    assert review is not None
    assert "does not count as registered" in review.problem


def test_none_is_made_after_a_target_has_begun(sweep: Sweep, said: list[str]) -> None:
    base, targets = parted(sweep)
    end(sweep, base)
    (sweep.cells / targets[0].key / "checkpoint_000000" / "state").write_text("")
    assert registered(sweep) == {}
    assert said == [f"No forecast: {targets[0].name} had begun to train before one was registered."]
    assert not sweep.forecast.exists()


def test_where_the_others_failed_the_forecast_says_why_there_is_none(
    sweep: Sweep, said: list[str]
) -> None:
    end(sweep, parted(sweep)[0], status="failed")
    assert len(registered(sweep) or {}) == 2
    (prediction,) = read_json(sweep.forecast.read_text()).predictions
    assert prediction.loss is None
    assert "a forecast needs 4" in said[0]


def test_targets_alone_are_refused_before_their_forecast(sweep: Sweep) -> None:
    base, targets = parted(sweep)
    listed, alone = sweep.listed(), {cell.key for cell in targets}
    with pytest.raises(GridError, match="from others that have not ended: 8; train those first"):
        forecasts.refuse_targets_alone(sweep, listed, alone)
    forecasts.refuse_targets_alone(sweep, listed, alone | {base[0].key})
    forecasts.refuse_targets_alone(sweep, listed, set())
    end(sweep, base)
    forecasts.refuse_targets_alone(sweep, listed, alone)


def test_status_says_where_the_forecast_stands(sweep: Sweep) -> None:
    base, targets = parted(sweep)
    assert "when the other cells have ended: 8" in forecasts.standing(sweep)
    end(sweep, base)
    assert "the same command without --status makes it" in forecasts.standing(sweep)
    registered(sweep)
    assert "2 have not ended" in forecasts.standing(sweep)
    end(sweep, targets, forecast=digest(sweep.forecast.read_text()))
    assert "2 of 2 targets fell inside" in forecasts.standing(sweep)
    sweep.forecast.delete()
    assert "forecast.json is gone" in forecasts.standing(sweep)


def test_forgetting_everything_forgets_the_forecast_and_forgetting_some_does_not(
    sweep: Sweep,
) -> None:
    base, targets = parted(sweep)
    end(sweep, base)
    registered(sweep)
    sweep.erase(cell.key for cell in base[:3])
    assert sweep.forecast.exists()
    sweep.erase(cell.key for cell in [*base, *targets])
    assert not sweep.forecast.exists()


def test_a_grid_without_targets_has_no_forecast(sweep: Sweep) -> None:
    Path(sweep.grid_name).write_text(GRID[: GRID.index("forecast")])
    plain = replace(sweep)
    end(plain, plain.resolve())
    assert not any(cell.target for cell in plain.listed())
    assert forecasts.reviewed(plain) is None


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(b"\x00\xff\x1b[31m"), lambda path: path.mkdir()],
    ids=["binary", "a folder"],
)
def test_a_forecast_that_cannot_be_read_costs_nothing_else(
    sweep: Sweep, damage: Callable[[Path], object]
) -> None:
    base, targets = parted(sweep)
    end(sweep, base)
    registered(sweep)
    end(sweep, targets, forecast=digest(sweep.forecast.read_text()))
    path = sweep.forecast.local
    assert path
    path.unlink()
    damage(path)
    review = forecasts.reviewed(sweep)
    assert review
    assert "forecast.json" in review.problem
    assert forecasts.standing(sweep) == printable(review.problem)


def test_targets_carry_the_digest_of_a_forecast_that_is_no_text(sweep: Sweep) -> None:
    base, targets = parted(sweep)
    end(sweep, base)
    sweep.forecast.write_bytes(b"\x00\xff")
    assert set(registered(sweep) or {}) == {cell.key for cell in targets}
