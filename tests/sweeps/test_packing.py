"""Cells are packed on GPUs without ever taking more than there is, and nearly as well as can be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.slow_packing import SlowPool, slow_in_order, slow_makespan
from sweeps.packing import Capacity, Demand, Pool, in_order, lower_bound, makespan

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


def test_two_thousand_cells_are_ordered_on_256_gpus_within_a_second_of_the_processor() -> None:
    cells = [Demand(str(i), 4, SHARES[i % 6], 10 + i % 90) for i in range(2000)]
    started = time.process_time()
    in_order(cells, Capacity(cpus=3072, gpus=256))
    assert time.process_time() - started < 1
