"""A plan says what is forecast, how long both phases take, and builds nothing large to find out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data.errors import DataError
from data.store.location import Location
from sweeps.console import duration
from sweeps.scheduling import expected, plan, throughput
from sweeps.scheduling.packing import Capacity
from sweeps.scheduling.plan_trunks import Trunks, trunks_of
from sweeps.sweep import Sweep
from tests.conftest import CELL
from trainers.cell import Cell, Placement
from trainers.ladder import archs


def test_a_plan_tells_what_trunks_take_and_save() -> None:
    family = [
        replace(CELL, arch="lstm", schedule="wsd", tokens=count * CELL.batch_tokens)
        for count in (100, 200)
    ]
    counts = family[0].rung.counts
    each = 12 * (counts.n_params + counts.embedding)
    assert trunks_of(family, {}) == Trunks(2, 2 * each, 0, 0)
    # The first has ended: its trunk saves the second as much as it has.
    kept = {str(family[0].trunk_key): [80], family[0].key: [100]}
    assert trunks_of(family, kept) == Trunks(2, 2 * each, 1, 80 * CELL.batch_tokens)


def watched(monkeypatch: pytest.MonkeyPatch, rate: float) -> list[Cell]:
    """The cells that are measured from now on, each at so many FLOP/s."""
    built: list[Cell] = []

    def measured(cell: Cell, *_: object) -> float:
        built.append(cell)
        return rate

    monkeypatch.setattr(throughput, "_rate", measured)
    return built


def test_of_sizes_too_large_to_build_a_small_one_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = watched(monkeypatch, rate=1e9)
    huge = [replace(CELL, arch=arch, size="3B", context=256) for arch in archs()]
    measured = throughput.measure(huge, threads=1, micro_tokens=1024)
    assert {cell.arch for cell in built} == set(archs())
    assert all(cell.rung.counts.n_params < 6e6 for cell in built)
    for cell in huge:
        assert measured.seconds(cell, Placement()) == pytest.approx(cell.flops / 1e9)


def test_of_a_ladder_only_what_is_small_enough_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = watched(monkeypatch, rate=1e15)
    ladder = [replace(CELL, size=size) for size in ("4k", "1M", "100M", "3B")]
    throughput.measure(ladder, threads=1, micro_tokens=1024)
    assert {cell.size for cell in built} == {"4k", "1M"}


def test_passes_over_the_data_are_told_and_many_are_warned_of(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    watched(monkeypatch, rate=1e9)
    sweep.erase(cell.key for cell in sweep.listed())
    manifest = sweep.data("abc") / "manifest.json"
    known = json.loads(manifest.read_text())
    for tokens, epochs, warned in ((20_000, "0.51", False), (2000, "5.1", True)):
        manifest.write_text(json.dumps(known | {"splits": {"train": {"tokens": tokens}}}))
        assert plan.show(sweep, "", "", None, 30, "") == 0
        printed = capfd.readouterr().out
        head, first = (line.split() for line in printed.splitlines()[:2])
        assert first[head.index("epochs")] == epochs
        assert ("3 cells see their data more than 4 times" in printed) == warned


def test_the_best_is_planned_as_the_costliest_that_it_can_be(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # 4k, 6k and 9k, which all train at the same number of FLOP/s.
    watched(monkeypatch, rate=1e6)
    grid = Path(sweep.grid_name)
    grid.write_text(grid.read_text() + "best: {epochs: 3}\n")
    sweep.erase(cell.key for cell in sweep.listed())

    def planned(only: str = "") -> list[str]:
        plan.show(Sweep(sweep.grid_name, (), sweep.out), only, "", None, 30, "")
        return capfd.readouterr().out.splitlines()

    (line,) = [line for line in planned() if "the best is trained for 3 epochs" in line]
    assert line.endswith("what that takes is known when the data are prepared.")
    manifest = sweep.data("abc") / "manifest.json"
    known = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(known | {"splits": {"train": {"tokens": 20_480}}}))
    largest = max(Sweep(sweep.grid_name, (), sweep.out).resolve(), key=lambda cell: cell.flops)
    took = duration(6 * largest.flops / 1e6)
    (line,) = [line for line in planned() if "the best is trained for 3 epochs" in line]
    assert f": {took} at most, which is what it takes if the costliest, lstm 9k, " in line
    last = planned()[-1]
    assert " and " in last
    assert last.endswith("in 4 jobs")
    # Alone, a cell leaves it to wait for the others.
    assert not any("best" in line for line in planned("size=4k"))


def test_a_source_that_is_not_there_is_told_by_the_plan(tmp_path: Path) -> None:
    grid = tmp_path / "mine.yaml"
    grid.write_text(
        f"data: {{source: {tmp_path}/nowhere}}\n"
        "cells: {arch: lstm, size: 4k, tokens: 10k}\n"
        "training: {batch_tokens: 512, context: 64}\n"
    )
    with pytest.raises(DataError, match="nowhere"):
        plan.show(Sweep(str(grid), (), Location.of(tmp_path)), "", "", None, 30, "")


def test_a_table_that_is_not_there_is_told_by_the_plan(tmp_path: Path) -> None:
    grid = tmp_path / "mine.yaml"
    grid.write_text(
        f"data: {{source: folk, facts: {tmp_path}/gone.csv}}\n"
        "cells: {arch: lstm, size: 4k, tokens: 10k}\n"
        "training: {batch_tokens: 512, context: 64}\n"
    )
    with pytest.raises(DataError, match=r"the table .*gone\.csv cannot be read"):
        plan.planned_manifests(Sweep(str(grid), (), Location.of(tmp_path)))


def test_a_grid_for_gpus_says_what_to_change_without_one(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    grid = Path(sweep.grid_name)
    grid.write_text(grid.read_text() + "placement: {gpus: auto}\n")
    monkeypatch.setattr(plan, "this_machine", lambda: Capacity(2, 0))
    plan.show(Sweep(sweep.grid_name, (), sweep.out), "", "", None, 30, "")
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.endswith("0 GPUs and 2 CPUs; to train on CPUs, write `gpus: 0` under 'placement'")


def test_the_plan_shows_which_kind_of_gpu_a_cell_asks_for(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    grid = Path(sweep.grid_name)
    grid.write_text(grid.read_text() + "placement: {gpus: 0.5, accelerator: H100}\n")
    monkeypatch.setattr(plan, "this_machine", lambda: Capacity(2, 0))
    plan.show(Sweep(sweep.grid_name, (), sweep.out), "", "", None, 30, "")
    assert "0.5 H100" in capfd.readouterr().out


def test_where_there_is_no_gpu_nothing_is_measured_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = tmp_path / "billions.yaml"
    grid.write_text(
        "data: {source: folk}\n"
        "cells: {arch: transformer, size: 3B, tokens: 20/param}\n"
        "training: {batch_tokens: 65536, context: 1024}\n"
        "placement: {gpus: 8, gpu_gb: 80}\n"
    )
    monkeypatch.setattr(plan, "this_machine", lambda: Capacity(2, 0))
    monkeypatch.delattr(expected, "measure")
    # 135 GB on 80.
    assert plan.show(Sweep(str(grid), (), Location.of(tmp_path)), "", "", None, 30, "") == 2
