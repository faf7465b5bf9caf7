"""Cells are packed on GPUs without ever taking more than there is, and nearly as well as can be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.ladders import ladder
from harness.slow_packing import SlowPool, slow_in_order, slow_makespan
from sweeps.scheduling.packing import (
    Capacity,
    Demand,
    Pool,
    Unit,
    demand_of,
    in_order,
    into_jobs,
    least_seconds,
    lower_bound,
    makespan,
)

T = TypeVar("T")
EIGHT = Capacity(cpus=64, gpus=8)
SHARES = [0.125, 0.25, 0.5, 1, 2, 4]
demands = st.lists(
    st.tuples(st.sampled_from(SHARES), st.floats(1, 100)), min_size=1, max_size=60
).map(lambda found: [Demand(str(i), 1, gpus, s) for i, (gpus, s) in enumerate(found)])

# Thirds and tenths do not add up to one exactly; whole seconds let cells end together.
anything = st.lists(
    st.tuples(
        st.sampled_from([0, 0.1, 0.25, 1 / 3, 0.7, 1, 2, 3]),
        st.sampled_from([0.5, 1, 3]),
        st.integers(1, 4) | st.floats(1, 9),
    ),
    min_size=1,
    max_size=25,
).map(lambda found: [Demand(str(i), cpus, gpus, s) for i, (gpus, cpus, s) in enumerate(found)])


@given(demands, st.lists(st.integers(0, 59)))
def test_no_gpu_is_ever_oversubscribed(cells: list[Demand], ended: list[int]) -> None:
    pool = Pool(EIGHT)
    for index, cell in enumerate(cells):
        pool.take(cell)
        for key in ended[index : index + 1]:
            pool.give_back(str(key))
        assert len(pool.gpus) <= 8
        assert all(sum(held.values()) <= 1 + 1e-6 for held in pool.gpus)


def test_shares_are_packed_so_that_whole_gpus_stay_free() -> None:
    pool = Pool(EIGHT)
    for index in range(16):
        assert pool.take(Demand(f"small{index}", 1, 0.25))
    assert pool.take(Demand("wide", 1, 4))
    assert not pool.take(Demand("one more", 1, 0.125))


def test_gpus_that_came_are_used_and_gpus_that_went_are_given_up() -> None:
    pool = Pool(Capacity(8, 2))
    assert [pool.take(Demand(name, 1, 1)) for name in "abc"] == [True, True, False]
    pool.capacity = Capacity(8, 3)
    assert pool.take(Demand("c", 1, 1))
    pool.capacity = Capacity(8, 1)
    pool.give_back("a")
    assert not pool.take(Demand("d", 1, 1))
    assert not pool.take(Demand("e", 1, 0.25))
    pool.give_back("b")
    assert not pool.take(Demand("d", 1, 1))
    pool.give_back("c")
    assert pool.take(Demand("d", 1, 1))


def test_gpus_of_one_kind_are_not_taken_for_those_of_another() -> None:
    pool = Pool(Capacity(64, 3, {"H100": 1, "A10G": 2}))

    def take(key: str, gpus: float, accelerator: str = "") -> bool:
        return pool.take(Demand(key, 1, gpus, accelerator=accelerator))

    assert [take(key, 0.5, "H100") for key in "abc"] == [True, True, False]
    assert take("d", 1, "A10G")
    assert take("e", 1)
    pool.give_back("a")
    assert take("c", 0.5, "H100")
    assert not pool.capacity.holds(Demand("wide", 1, 2, accelerator="H100"))
    assert not pool.capacity.holds(Demand("other", 1, 1, accelerator="L4"))


def test_where_kinds_are_not_known_any_gpu_may_be_the_one() -> None:
    named = [Demand(name, 1, 1, 10, accelerator="H100") for name in "ab"]
    assert makespan(named, Capacity(64, 2)) == 10
    assert makespan(named, Capacity(64, 2, {"H100": 1, "L4": 1})) == 20


def test_cpus_count_as_well() -> None:
    pool = Pool(Capacity(2, 0))
    assert [pool.take(Demand(name, 1, 0)) for name in "abc"] == [True, True, False]


@given(demands)
def test_no_order_beats_the_lower_bound_and_ours_is_no_worse_than_longest_first(
    cells: list[Demand],
) -> None:
    ordered = in_order(cells, EIGHT)
    assert sorted(cell.key for cell in ordered) == sorted(cell.key for cell in cells)
    longest = sorted(cells, key=lambda cell: -cell.seconds)
    assert lower_bound(cells, EIGHT) - 1e-6 <= makespan(ordered, EIGHT)
    assert makespan(ordered, EIGHT) <= makespan(longest, EIGHT)


def test_forty_mixed_cells_end_near_the_lower_bound() -> None:
    cells = [Demand(str(i), 1, SHARES[1 + i % 5], 4 + i % 7) for i in range(40)]
    assert makespan(in_order(cells, EIGHT), EIGHT) <= 1.1 * lower_bound(cells, EIGHT)


def test_a_cell_that_fits_nowhere_yet_waits_behind_the_others() -> None:
    cells = [Demand("wide", 1, 4, 10), Demand("small", 1, 1, 1)]
    assert [cell.key for cell in in_order(cells, Capacity(8, 2))] == ["small", "wide"]


@given(anything, st.sampled_from([3, 7, 100]), st.integers(3, 5))
def test_the_order_and_the_makespan_are_those_of_trying_each_cell_at_each_end(
    cells: list[Demand], cpus: float, gpus: int
) -> None:
    capacity = Capacity(cpus, gpus)
    assert makespan(cells, capacity) == slow_makespan(cells, capacity)
    assert in_order(cells, capacity) == slow_in_order(cells, capacity)


@given(anything, st.lists(st.tuples(st.integers(0, 24), st.integers(0, 6)), min_size=25))
def test_who_holds_which_gpu_is_as_if_all_were_added_up_while_gpus_come_and_go(
    cells: list[Demand], changes: list[tuple[int, int]]
) -> None:
    pool, slow = Pool(Capacity(9, 4)), SlowPool(Capacity(9, 4))
    for cell, (ended, gpus) in zip(cells, changes):
        assert pool.take(cell) == slow.take(cell)
        assert pool.gpus == slow.gpus
        pool.give_back(str(ended))
        slow.give_back(str(ended))
        pool.capacity = slow.capacity = Capacity(9, gpus)


def test_what_fits_nowhere_has_no_makespan() -> None:
    with pytest.raises(ValueError, match=r"^wide does not fit$"):
        makespan([Demand("small", 1, 1, 1), Demand("wide", 1, 3, 1)], Capacity(8, 2))


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the processor, and what it returns; the least of three turns, for who shares a
    core with others is slowed by them."""
    turns = []
    for _ in range(3):
        started = time.process_time()
        found = work()
        turns.append(time.process_time() - started)
    return min(turns), found


def test_two_thousand_cells_are_ordered_on_256_gpus_within_a_second_of_the_processor() -> None:
    cells = [Demand(str(i), 4, SHARES[i % 6], 10 + i % 90) for i in range(2000)]
    seconds, _ = timed(lambda: in_order(cells, Capacity(cpus=3072, gpus=256)))
    assert seconds < 1


START = 15.0


def ends(jobs: list[list[Unit]], capacity: Capacity, start: float = START) -> float:
    return makespan(in_order([demand_of(job, start) for job in jobs], capacity), capacity)


def alike(count: int, seconds: float, group: str = "group", gpus: float = 1) -> list[Unit]:
    return [Unit(f"{group}-{index}", group, 1, gpus, seconds) for index in range(count)]


units = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.sampled_from([0, 0.25, 0.5, 1, 2, 4]),
        st.sampled_from([0.0, 5.0, 20.0]) | st.floats(1, 500),
    ),
    max_size=40,
).map(lambda found: [Unit(str(i), group, 1, gpus, s) for i, (group, gpus, s) in enumerate(found)])
clusters = st.builds(Capacity, st.sampled_from([4, 64, math.inf]), st.sampled_from([4, 5, 8, 64]))


@given(units, clusters, st.sampled_from([0.0, 15.0, 300.0]))
def test_jobs_hold_each_unit_once_and_never_two_groups_or_shares(
    found: list[Unit], capacity: Capacity, start: float
) -> None:
    jobs = into_jobs(found, capacity, start)
    assert sorted(unit.key for job in jobs for unit in job) == sorted(unit.key for unit in found)
    for job in jobs:
        assert len({(unit.group, unit.gpus) for unit in job}) == 1
        assert job == sorted(job, key=lambda unit: -unit.seconds)


@given(units, clusters, st.sampled_from([0.0, 15.0, 300.0]))
def test_jobs_end_no_later_than_one_a_group_or_one_a_unit_and_not_before_the_least(
    found: list[Unit], capacity: Capacity, start: float
) -> None:
    seconds = ends(into_jobs(found, capacity, start), capacity, start)
    whole: dict[tuple[str, float], list[Unit]] = {}
    for unit in found:
        whole.setdefault((unit.group, unit.gpus), []).append(unit)
    one_a_group = [sorted(group, key=lambda unit: -unit.seconds) for group in whole.values()]
    assert seconds <= ends(one_a_group, capacity, start) + 1e-5
    assert seconds <= ends([[unit] for unit in found], capacity, start) + 1e-5
    assert not found or seconds >= least_seconds(found, capacity, start) - 1e-5


def test_a_group_is_spread_over_the_gpus_that_there_are() -> None:
    jobs = into_jobs(alike(16, 100), Capacity(64, 8), START)
    assert [len(job) for job in jobs] == [2] * 8


def test_where_jobs_would_only_follow_each_other_each_group_is_one() -> None:
    found = [unit for group in "abc" for unit in alike(5, 20, group)]
    jobs = into_jobs(found, Capacity(64, 1), START)
    assert sorted(job[0].group for job in jobs) == ["a", "b", "c"]


def test_jobs_are_few_where_more_of_them_would_end_no_sooner() -> None:
    found = alike(1, 1000, "long") + alike(8, 50, "short")
    jobs = into_jobs(found, Capacity(64, 8), START)
    assert [len(job) for job in jobs] == [1, 8]


def test_jobs_come_in_the_order_in_which_they_begin() -> None:
    found = alike(8, 10, "small", 0.25) + alike(4, 400, "wide", 4) + alike(6, 90)
    demands = [demand_of(job, START) for job in into_jobs(found, EIGHT, START)]
    assert demands == in_order(demands, EIGHT)


def test_a_unit_that_fits_nowhere_yet_is_a_job_of_its_own_behind_the_others() -> None:
    found = alike(3, 100, "wide", 4) + alike(2, 10)
    jobs = into_jobs(found, Capacity(8, 1), START)
    assert [job[0].group for job in jobs] == ["group", "wide", "wide", "wide"]


@settings(max_examples=40)
@given(
    st.integers(3, 5),
    st.floats(10, 300),
    st.floats(0.3, 1),
    st.sampled_from([(0.25, 0.5, 1, 2, 4), (0.25,) * 5, (1,) * 5]),
)
def test_ladders_of_sizes_on_eight_gpus_end_within_a_tenth_of_the_least(
    seeds: int, seconds: float, slower: float, gpus: tuple[float, ...]
) -> None:
    found = ladder(seeds, seconds, slower, gpus)
    assert ends(into_jobs(found, EIGHT, START), EIGHT) <= 1.1 * least_seconds(found, EIGHT, START)


def test_two_thousand_units_become_jobs_on_256_gpus_within_two_seconds_of_the_processor() -> None:
    found = ladder(200, 100, 0.7, (0.25, 0.5, 1, 2, 4))
    seconds, jobs = timed(lambda: into_jobs(found, Capacity(cpus=3072, gpus=256), START))
    assert seconds < 2
    assert sum(map(len, jobs)) == 2000
