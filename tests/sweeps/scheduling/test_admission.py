"""Cells of all widths share a cluster that changes, through Tune and Ray as in a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from harness.stand_ins import mixed, most_at_once, run_stand_ins, two_nodes
from sweeps.scheduling.packing import Capacity, Demand
from sweeps.scheduling.schedule import Admission, present
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Of two nodes with four logical GPUs each."""
    made = two_nodes()
    ray.init(made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_cells_of_a_quarter_to_four_gpus_neither_deadlock_nor_take_too_much(
    cluster: Cluster,
) -> None:
    demands = mixed(cells=15, seconds=1)
    held = run_stand_ins(demands)
    assert sorted(each.demand.key for each in held) == sorted(each.key for each in demands)
    assert most_at_once(held) <= 8


@pytest.mark.slow
def test_gpus_that_come_are_used_and_those_that_go_cost_no_cell(
    cluster: Cluster, tmp_path: Path
) -> None:
    demands = [Demand(f"cell{index}", 1, 1, 1) for index in range(18)]
    placed, enough = tmp_path / "placed", tmp_path / "enough"
    placed.mkdir()

    def hold(demand: Demand) -> None:
        (placed / demand.key).touch()
        wait_until(enough.exists)

    def so_many(count: int) -> bool:
        return len(list(placed.iterdir())) == count

    with ThreadPoolExecutor(1) as pool:
        # Nodes can be added by the main thread only.
        sweep = pool.submit(run_stand_ins, demands, hold)
        try:
            wait_until(lambda: so_many(8))
            node = cluster.add_node(num_cpus=32, num_gpus=4)
            wait_until(lambda: so_many(12))
            cluster.remove_node(node)
        finally:
            enough.touch()
        held = sweep.result()
    assert sorted(each.demand.key for each in held) == sorted(each.key for each in demands)
    assert most_at_once(held) == 12


def admission(*gpus: float, capacity: Capacity) -> Admission:
    demands = [Demand(f"{g:g}-{i}", 1, g, 10 * g + i) for i, g in enumerate(gpus)]
    return Admission(demands, capacity=lambda: capacity)


def test_one_cell_more_than_fits_is_started_ahead_and_takes_the_next_room() -> None:
    found = admission(4, 4, 4, 1, capacity=Capacity(64, 8))
    first, second, ahead = (found.suggest(trial) for trial in "abc")
    assert [job["job"][0][0] for job in (first, second, ahead)] == ["4", "4", "4"]  # type: ignore[index]
    assert found.suggest("d") is None
    found.on_trial_complete("a")
    # The room goes to the cell that stands ready; the small one is the next to stand ready.
    assert found.suggest("d") == {"job": ("1-3",)}
    assert found.pool.cpus.keys() == {second["job"][0], ahead["job"][0]}  # type: ignore[index]


def test_what_waits_for_one_kind_of_gpu_keeps_no_other_kind_waiting() -> None:
    demands = [Demand(f"H100-{i}", 1, 1, 9, accelerator="H100") for i in range(2)]
    demands += [Demand(f"L4-{i}", 1, 1, 1, accelerator="L4") for i in range(2)]
    found = Admission(demands, capacity=lambda: Capacity(64, 1, {"L4": 1}))
    # One of each kind is asked for ahead, so that the cluster can grow by either.
    told = [found.suggest(trial) for trial in "abcd"]
    assert told == [{"job": (key,)} for key in ("L4-0", "L4-1", "H100-0")] + [None]


def test_the_cluster_says_how_many_gpus_of_each_kind_it_has(cluster: Cluster) -> None:
    node = cluster.add_node(num_cpus=1, num_gpus=2, resources={"accelerator_type:H100": 1})
    try:
        wait_until(lambda: present().kinds == {"H100": 2})
        assert present().gpus == 10
    finally:
        cluster.remove_node(node)
    wait_until(lambda: present().kinds == {})


def test_a_cell_that_was_ahead_gives_back_what_it_took() -> None:
    found = admission(1, 1, capacity=Capacity(64, 1))
    found.suggest("a")
    found.suggest("b")
    found.on_trial_complete("a")
    found.on_trial_complete("b")
    assert not found.pool.cpus
    assert found.suggest("c") == "FINISHED"


def test_jobs_that_wait_are_divided_anew_when_gpus_come_and_those_that_run_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut for one GPU, every job is three cells; cut for more, every cell is a job."""
    monkeypatch.setattr("sweeps.scheduling.schedule.POLL_SECONDS", -1)
    gpus = [1]

    def three(number: int) -> Demand:
        cells = tuple(f"{number}-{index}" for index in range(3))
        return Demand(cells[0], 1, 1, 3, cells)

    def again(waiting: list[Demand], capacity: Capacity) -> list[Demand]:
        assert capacity.gpus == gpus[0]
        cells = [cell for demand in waiting for cell in demand.cells]
        return [Demand(cell, 1, 1, 1, (cell,)) for cell in cells]

    found = Admission(list(map(three, range(3))), again, lambda: Capacity(64, gpus[0]))
    running, ahead = found.suggest("a"), found.suggest("b")
    assert running
    assert ahead
    assert not found.suggest("c")
    gpus[0] = 8
    after = [found.suggest(trial) for trial in "cdef"]
    assert [job["job"] for job in after[:3]] == [("2-0",), ("2-1",), ("2-2",)]  # type: ignore[index]
    assert after[3] == "FINISHED"
