"""How far a sweep is: counted, and never nothing left while cells are open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.store.location import Location
from sweeps.scheduling.jobs import Job
from sweeps.view.progress import Look, Progress
from tests.conftest import CELL
from trainers.cell import Cell, Placement

SEEDS = [replace(CELL, seed=seed) for seed in range(4)]


def job(*cells: Cell) -> Job:
    return Job(cells, Location.of("data"), Placement(), tuple(c.tokens for c in cells))


def point(cell: Cell, share: float, pace: float) -> dict[str, float]:
    """share: of the tokens. pace: tokens/s."""
    return {"tokens": share * cell.tokens, "tokens_per_second": pace, "train_loss": 2.0}


def test_cells_and_jobs_are_counted() -> None:
    progress = Progress([job(*SEEDS[:2]), job(SEEDS[2]), job(SEEDS[3])], ["finished"])
    look = Look(
        {SEEDS[0].key: point(SEEDS[0], 0.5, 9), SEEDS[2].key: point(SEEDS[2], 0, 0)},
        {SEEDS[3].key: "diverged"},
    )
    assert progress.count(look) == "2/5 cells, 1 diverged"
    assert progress.queue(look) == "jobs: 2 running, 0 waiting"


def test_a_job_that_waits_is_in_the_queue() -> None:
    progress = Progress([job(each) for each in SEEDS], [])
    assert progress.queue(Look({}, {})) == "jobs: 0 running, 4 waiting"
    progress.regroup([job(*SEEDS[1:])])
    assert progress.queue(Look({}, {})) == "jobs: 0 running, 2 waiting"


def test_what_ran_before_this_sweep_says_nothing_of_its_speed() -> None:
    progress = Progress([job(SEEDS[0])], [])
    running = {SEEDS[0].key: point(SEEDS[0], 0.5, 0)}
    assert progress.seconds_left(Look(running, {}, at=100)) is None
    running = {SEEDS[0].key: point(SEEDS[0], 0.75, 0)}
    assert progress.seconds_left(Look(running, {}, at=110)) == pytest.approx(10)


def test_cells_that_follow_each_other_in_one_job_take_their_time() -> None:
    """Though the sweep as a whole was four times as fast until now."""
    progress = Progress([job(*SEEDS[:2]), job(SEEDS[2]), job(SEEDS[3])], [])
    pace = CELL.tokens / 100
    others = {SEEDS[2].key: "finished", SEEDS[3].key: "finished"}
    progress.seconds_left(Look({SEEDS[0].key: point(CELL, 0.01, pace)}, {}, at=0))
    left = progress.seconds_left(Look({SEEDS[0].key: point(CELL, 0.5, pace)}, others, at=10))
    assert left == pytest.approx(150)


def test_tokens_taken_over_from_a_checkpoint_are_not_to_train() -> None:
    half = Job((SEEDS[0],), Location.of("data"), Placement(), to_train=(SEEDS[0].tokens // 2,))
    progress = Progress([half], [])
    first = {SEEDS[0].key: point(SEEDS[0], 0.6, CELL.tokens / 100)}
    progress.seconds_left(Look(first, {}, at=0))
    later = {SEEDS[0].key: point(SEEDS[0], 0.8, CELL.tokens / 100)}
    assert progress.seconds_left(Look(later, {}, at=20)) == pytest.approx(20)
