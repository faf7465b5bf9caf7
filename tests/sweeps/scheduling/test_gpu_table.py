"""A plan for a card that is not here, from what was measured on one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data.store.location import Location
from sweeps.errors import GridError
from sweeps.scheduling import expected, plan
from sweeps.scheduling.gpu_table import sustained
from sweeps.sweep import Sweep
from tests.conftest import CELL
from trainers.cell import Cell, Placement

LSTM = replace(CELL, arch="lstm", tokens=256_000)
WHOLE = Placement(gpus=1)
ROWS = """\
gpu,arch,size,tokens_per_second,share_of_peak
Made-up X1,lstm,4k,1000000,0.001
Made-up X1,lstm,20k,800000,0.004
Made-up X1,transformer,4k,500000,0.002
Made-up X2,lstm,4k,1,0.5
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "gpu_speed.csv"
    path.write_text(ROWS)
    return path


def test_a_size_of_the_table_takes_what_was_measured(table: Path) -> None:
    found = sustained("x1", [LSTM, CELL], table)
    assert found.seconds(LSTM, WHOLE) == pytest.approx(0.256)
    assert found.seconds(replace(LSTM, size="20k"), WHOLE) == pytest.approx(0.32)
    assert found.seconds(CELL, WHOLE) == pytest.approx(CELL.tokens / 500_000)
    assert found.seconds(LSTM, Placement(gpus=0.25)) == pytest.approx(4 * 0.256)
    assert found.device == "Made-up X1 (measured at 0.1% to 0.4% of its peak)"


def test_between_sizes_the_rate_is_interpolated_and_beyond_them_it_stays(table: Path) -> None:
    found = sustained("x1", [LSTM], table)

    def rate(size: str) -> float:
        cell = replace(LSTM, size=size)
        return cell.flops / found.seconds(cell, WHOLE)

    assert rate("4k") < rate("9k") < rate("20k")
    assert rate("100k") == pytest.approx(rate("20k"))


@pytest.mark.parametrize(
    ("gpu", "cell", "said"),
    [
        ("h100", LSTM, "found no table for GPU 'h100'; known: Made-up X1, Made-up X2. Name one"),
        ("made", LSTM, "found 2 tables for GPU 'made'; known: Made-up X1, Made-up X2. Name one"),
        ("x2", CELL, "found no table for transformer on Made-up X2; known: lstm"),
    ],
)
def test_what_nobody_has_measured_is_refused(table: Path, gpu: str, cell: Cell, said: str) -> None:
    with pytest.raises(GridError, match=said):
        sustained(gpu, [cell], table)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("gpu,arch,size\n", "lacks the columns tokens_per_second, share_of_peak"),
        (ROWS.replace("800000", "fast"), "csv:3: expected tokens_per_second above 0.*found 'fast'"),
        (ROWS.replace("800000", "0"), "csv:3: expected tokens_per_second above 0.*found '0'"),
        (ROWS + "Made-up X3,lstm,4k\n", "csv:6: .*found None"),
    ],
)
def test_a_broken_table_is_refused_in_one_line(table: Path, wrong: str, said: str) -> None:
    table.write_text(wrong)
    with pytest.raises(GridError, match=said) as refused:
        sustained("x1", [LSTM], table)
    assert "\n" not in str(refused.value)


def test_without_a_table_the_plan_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r"known: none. .*python -m benchmarks.gpu, or assume"):
        sustained("h100", [LSTM], tmp_path / "none.csv")


def test_the_plan_reads_the_table(
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    grid = tmp_path / "small.yaml"
    text = (
        "data: {source: folk}\ncells: {arch: lstm, size: 4k, tokens: 360M}\n"
        "training: {batch_tokens: 1000, context: 250}\nplacement: {gpus: 1}\n"
    )
    grid.write_text(text)
    monkeypatch.setattr(expected, "sustained", lambda gpu, cells: sustained(gpu, cells, table))
    assert plan.show(Sweep(str(grid), (), Location.of(tmp_path)), "", "1x1", None, 30, "x1") == 0
    said = capfd.readouterr().out
    assert "6 min" in said
    assert "Times are for Made-up X1 (measured at 0.1% to 0.4% of its peak)." in said
    grid.write_text(text.replace("gpus: 1", "gpus: 0"))
    with pytest.raises(GridError, match="--gpu x1: the grid trains on CPUs"):
        plan.show(Sweep(str(grid), (), Location.of(tmp_path)), "", "", None, 30, "x1")
