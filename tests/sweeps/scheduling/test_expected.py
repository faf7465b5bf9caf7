"""A plan goes by what cells before took, where these were like its own on a device of its kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.store.location import Location
from fitting.contract import METRICS
from sweeps.grids.needs import Needs
from sweeps.scheduling import expected
from sweeps.scheduling.expected import as_before, learn, rates_file, rates_of, read_rates
from sweeps.scheduling.packing import Capacity
from sweeps.scheduling.throughput import Throughput
from tests.conftest import CELL
from trainers.cell import Cell, Placement
from trainers.records import Record

CPU = {"device": "cpu", "processor": "EPYC", "threads": 1, "workers": 1}
H100 = {"device": "NVIDIA H100", "processor": "Xeon", "threads": 8, "workers": 2}
ONE, ALONE = Needs(), Placement()


def ended(cell: Cell, seconds: float, on: dict[str, Any], at: float = 1000.0) -> Record:
    """A cell that trained for so long, in one interval."""
    pace = cell.tokens / seconds
    curve = [{"tokens": cell.tokens, "tokens_per_second": pace, "time": at - 1}]
    known = {"flops": cell.flops, "tokens": cell.tokens, "seconds_evaluate": 1.0}
    measured = dict.fromkeys(METRICS, 1.0) | known
    started = at - 1 - seconds - 1
    return Record(cell.key, "finished", "", cell.params(), measured, curve, started, at, ran_on=on)


def seconds(of: Throughput | None, cell: Cell, placement: Placement = ALONE) -> float:
    assert of
    return of.seconds(cell, placement)


def test_a_cell_is_expected_to_take_as_long_as_the_same_did() -> None:
    known = as_before(rates_of([ended(CELL, 20.0, CPU)], {}), [CELL], ONE)
    assert seconds(known, CELL) == pytest.approx(20.0)
    assert seconds(known, replace(CELL, tokens=2 * CELL.tokens)) == pytest.approx(40.0)
    assert known
    assert known.device == "EPYC, 1 thread, as 1 cell before took"


def test_the_median_of_cells_alike_is_what_counts() -> None:
    cells = [replace(CELL, seed=seed) for seed in range(3)]
    records = [ended(cell, took, CPU) for cell, took in zip(cells, (10.0, 20.0, 400.0))]
    assert seconds(as_before(rates_of(records, {}), [CELL], ONE), CELL) == pytest.approx(20.0)


def test_workers_and_shares_of_a_gpu_are_taken_out() -> None:
    two = rates_of([ended(CELL, 20.0, H100)], {})
    assert seconds(as_before(two, [CELL], Needs(gpus=1)), CELL) == pytest.approx(40.0)
    quarter = rates_of([ended(CELL, 20.0, H100 | {"workers": 1})], {CELL.key: 0.25})
    shared = Placement(gpus=0.25)
    assert seconds(as_before(quarter, [CELL], Needs(gpus=0.25)), CELL, shared) == (
        pytest.approx(20.0)
    )


@pytest.mark.parametrize(
    ("cells", "needs"),
    [
        ([CELL, replace(CELL, arch="lstm")], ONE),
        ([replace(CELL, size="300k")], ONE),
        ([CELL], Needs(gpus=1)),
        ([CELL], Needs(cpus=2)),
    ],
    ids=["another architecture", "a far size", "a GPU", "more threads"],
)
def test_what_cells_before_say_nothing_of_is_not_taken_from_them(
    cells: list[Cell], needs: Needs
) -> None:
    rates = rates_of([ended(CELL, 20.0, CPU)], {})
    assert as_before(rates, [CELL], ONE)
    assert as_before(rates, cells, needs) is None
    assert as_before([], [CELL], ONE) is None


def test_what_took_no_time_did_not_finish_or_does_not_say_where_teaches_nothing() -> None:
    sound = ended(CELL, 20.0, CPU)
    assert rates_of([ended(CELL, 0.5, CPU)], {}) == []
    assert rates_of([replace(sound, status="diverged")], {}) == []
    assert rates_of([replace(sound, ran_on={})], {}) == []


def test_what_is_learnt_is_kept_and_the_newest_device_is_the_one_that_counts(
    tmp_path: Path,
) -> None:
    out = Location.of(tmp_path)
    learn(out, [], {})
    assert not rates_file(out).exists()
    learn(out, [ended(CELL, 20.0, CPU)], {})
    old = CPU | {"processor": "older"}
    learn(out, [ended(CELL, 80.0, old, at=500.0), ended(CELL, 10.0, CPU)], {})
    rates = read_rates(out).rates
    assert [rate.device for rate in rates] == ["older", "EPYC"]
    assert seconds(as_before(rates, [CELL], ONE), CELL) == pytest.approx(10.0)


def test_a_file_that_cannot_be_read_is_told_and_teaches_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = Location.of(tmp_path)
    rates_file(out).write_text('{"rates": [{"device": "x"}]}')
    assert read_rates(out).rates == []
    assert "throughput.json: found no rates.0.threads" in capfd.readouterr().out


def test_what_was_learnt_goes_before_what_is_measured_or_assumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, here = Location.of(tmp_path), Capacity(2, 0)
    measured = Throughput("measured", {})
    monkeypatch.setattr(expected, "measure", lambda *_, **__: measured)
    assert expected.throughput(out, [CELL], ONE, here) == measured
    assert "30 TFLOP/s (assumed)" in expected.throughput(out, [CELL], Needs(gpus=1), here).device
    learn(out, [ended(CELL, 20.0, CPU), ended(CELL, 20.0, H100)], {})
    assert "EPYC" in expected.throughput(out, [CELL], ONE, here).device
    assert "H100" in expected.throughput(out, [CELL], Needs(gpus=1), here).device
    # Unless one says what to assume.
    said = expected.throughput(out, [CELL], Needs(gpus=1), here, tflops=50)
    assert "50 TFLOP/s (assumed)" in said.device
