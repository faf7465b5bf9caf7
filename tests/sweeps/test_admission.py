"""Cells of all widths share a cluster that changes, through Tune and Ray as in a sweep."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import ray
from ray.cluster_utils import Cluster

from benchmarks.sweep_packing import mixed, most_at_once, run_stand_ins, two_nodes
from sweeps.packing import Capacity, Demand
from sweeps.schedule import Admission


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = two_nodes()
    ray.init(made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_cells_of_a_quarter_to_four_gpus_neither_deadlock_nor_take_too_much(
    cluster: Cluster,
) -> None:
    demands = mixed(cells=15, seconds=3)
    held = run_stand_ins(demands)
    assert sorted(each.demand.key for each in held) == sorted(each.key for each in demands)
    assert most_at_once(held) <= 8


@pytest.mark.slow
def test_gpus_that_come_are_used_and_those_that_go_are_given_up(cluster: Cluster) -> None:
    demands = [Demand(f"cell{index}", 1, 1, 15) for index in range(18)]
    with ThreadPoolExecutor(1) as pool:
        # Nodes can be added by the main thread only.
        sweep = pool.submit(run_stand_ins, demands)
        time.sleep(5)
        node = cluster.add_node(num_cpus=32, num_gpus=4)
        time.sleep(25)
        cluster.remove_node(node)
        held = sweep.result()
    assert sorted(each.demand.key for each in held) == sorted(each.key for each in demands)
    assert 8 < most_at_once(held) <= 12


def admission(*gpus: float, capacity: Capacity) -> Admission:
    demands = [Demand(f"{g:g}-{i}", 1, g, 10 * g + i) for i, g in enumerate(gpus)]
    return Admission(demands, lambda: capacity)


def test_one_cell_more_than_fits_is_started_ahead_and_takes_the_next_room() -> None:
    found = admission(4, 4, 4, 1, capacity=Capacity(64, 8))
    first, second, ahead = (found.suggest(trial) for trial in "abc")
    assert [cell["cell"][0] for cell in (first, second, ahead)] == ["4", "4", "4"]  # type: ignore[index]
    assert found.suggest("d") is None
    found.on_trial_complete("a")
    # The room goes to the cell that stands ready; the small one is the next to stand ready.
    assert found.suggest("d") == {"cell": "1-3"}
    assert found.pool.cpus.keys() == {second["cell"], ahead["cell"]}  # type: ignore[index]


def test_a_cell_that_was_ahead_gives_back_what_it_took() -> None:
    found = admission(1, 1, capacity=Capacity(64, 1))
    found.suggest("a")
    found.suggest("b")
    found.on_trial_complete("a")
    found.on_trial_complete("b")
    assert not found.pool.cpus
    assert found.suggest("c") == "FINISHED"
