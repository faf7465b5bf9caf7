"""Which cells share workers, in which order, and how long that is expected to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.store.location import Location
from sweeps.errors import GridError
from sweeps.grids.needs import Needs
from sweeps.scheduling.jobs import START_SECONDS, Job, in_phases, kept_of, refuse_what_never_fits
from sweeps.scheduling.packing import Capacity
from tests.conftest import CELL
from trainers import checkpoint
from trainers.cell import Cell, Placement

ONE = Capacity(1, 0)
LSTM = replace(CELL, arch="lstm", schedule="wsd")
SWEEP: Any = SimpleNamespace(grid=SimpleNamespace(placement=Needs()), data=Location)


def seconds(cell: Cell, placement: Placement) -> float:
    return cell.tokens / 1000


def jobs_of(cells: list[Cell], kept: dict[str, list[int]] | None = None) -> list[Job]:
    first, last = in_phases(cells, set(), SWEEP, seconds, ONE, kept or {})
    assert last == []
    return first


def budgets(cell: Cell, *steps: int) -> list[Cell]:
    return [replace(cell, tokens=count * cell.batch_tokens) for count in steps]


def test_seeds_and_rates_of_a_size_share_workers_and_other_sizes_and_data_do_not() -> None:
    alike = [LSTM, replace(LSTM, seed=1), replace(LSTM, lr=0.1)]
    others = [
        replace(LSTM, size="9k"),
        replace(LSTM, arch="transformer"),
        replace(LSTM, data="other", tokenizer="remi"),
    ]
    found = jobs_of([*alike, *others])
    assert [list(job.cells) for job in found] == [alike, *([other] for other in others)]
    assert [job.data for job in found] == [Location("abc")] * 3 + [Location("remi")]


def test_a_family_is_trained_by_rising_budget_for_its_longest_run_and_the_decays() -> None:
    (job,) = jobs_of(budgets(LSTM, 400, 100, 200))
    assert job.cells == tuple(budgets(LSTM, 100, 200, 400))
    assert job.to_train == tuple(steps * LSTM.batch_tokens for steps in (100, 120, 240))
    assert job.seconds == pytest.approx(START_SECONDS + 460 * LSTM.batch_tokens / 1000)


def test_what_is_kept_is_not_trained_again(tmp_path: Path) -> None:
    family, storage = budgets(LSTM, 100, 200), Location.of(tmp_path)
    for key, step in ((family[0].key, 90), (family[0].trunk_key, 80)):
        checkpoint.save(storage / str(key), {"step": step})
    kept = kept_of(storage, family)
    (job,) = jobs_of(family, kept)
    assert job.to_train == (10 * LSTM.batch_tokens, 120 * LSTM.batch_tokens)


def test_targets_are_jobs_of_their_own_and_branch_from_the_others() -> None:
    small, large = budgets(LSTM, 100, 200)
    found = in_phases([large, small], {large.key}, SWEEP, seconds, ONE, {})
    assert [[job.cells for job in jobs] for jobs in found] == [[(small,)], [(large,)]]
    assert found[1][0].to_train == (120 * LSTM.batch_tokens,)


def test_a_job_none_of_whose_cells_fits_is_refused_in_one_line() -> None:
    cells = (LSTM, replace(LSTM, seed=1))
    job = Job(cells, Location("/nowhere"), Placement(workers=2, gpus=1))
    with pytest.raises(GridError) as refused:
        refuse_what_never_fits([job], Capacity(8, 1))
    assert str(refused.value) == (
        "lstm-4k-seed0, with 1 more of its job, takes 2 GPUs and 2 CPUs; this machine has 1 and 8"
    )


def test_a_cell_for_another_kind_of_gpu_than_there_is_is_refused_in_one_line() -> None:
    job = Job((LSTM,), Location("/nowhere"), Placement(gpus=1, accelerator="H100"))
    refuse_what_never_fits([job], Capacity(8, 1, {"H100": 1}))
    with pytest.raises(GridError) as refused:
        refuse_what_never_fits([job], Capacity(8, 1, {"L4": 1}))
    assert str(refused.value) == (
        "lstm-4k-seed0 takes 1 H100 GPUs and 1 CPUs; this machine has 0 and 8"
    )


def test_cells_for_different_kinds_of_gpu_share_no_workers() -> None:
    large = replace(LSTM, size="9k")
    needs = Needs(gpus=1, accelerator={"4k": "L4", "9k": "H100"})
    sweep: Any = SimpleNamespace(grid=SimpleNamespace(placement=needs), data=Location)
    there = Capacity(64, 2, {"L4": 1, "H100": 1})
    jobs, _ = in_phases([LSTM, large], set(), sweep, seconds, there, {})
    assert {(job.cells[0].size, job.demand.accelerator) for job in jobs} == {
        ("4k", "L4"),
        ("9k", "H100"),
    }
