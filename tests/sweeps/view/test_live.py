"""The live view in words: where it is drawn again, and where it is a line now and then."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rich.console import Console

from data.store.location import Location
from sweeps.view import live
from sweeps.view.live import MOST_ROWS, LiveView
from sweeps.view.progress import Look
from tests.sweeps.view.test_progress import SEEDS, job, point


@pytest.fixture
def view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveView:
    """Of four cells in two jobs."""
    monkeypatch.setattr(live, "in_use", lambda: "GPUs: 1.5 of 4 in use")
    jobs = [job(*SEEDS[:2]), job(*SEEDS[2:])]
    return LiveView(jobs, [], None, Location.of(tmp_path / "alive"), ["MLflow   make ui"])


def drawn(view: LiveView, look: Look, width: int) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(view.table(look), no_wrap=True, overflow="ellipsis", crop=True)
    return captured.get().splitlines()


def test_a_line_has_the_cells_that_run_and_the_time_left(view: LiveView) -> None:
    running = {
        SEEDS[0].key: point(SEEDS[0], 0.5, 2000),
        SEEDS[2].key: point(SEEDS[2], 0, 0),
    }
    assert view.line(Look(running, {})) == (
        "0/4 cells | transformer 4k seed 0 50% loss 2.000 2k tok/s | transformer 4k seed 2 starting"
        " | time left not known yet"
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_has_a_bar_a_cell_whatever_its_width(view: LiveView, width: int) -> None:
    running = {SEEDS[0].key: point(SEEDS[0], 0.5, 2000) | {"gpu_percent": 93.0}}
    head, jobs, bar, foot = drawn(view, Look(running, {SEEDS[3].key: "finished"}), width)
    assert head.startswith("1/4 cells   0:00 gone, ")
    assert jobs.startswith("jobs: 1 running, 1 waiting   GPUs: 1.5 of 4 in use")
    assert {"━", "╸"} & set(bar)
    assert bar.startswith("transformer 4k")
    assert bar.rstrip().endswith("GPU 93%")
    assert foot == "MLflow   make ui"


def test_of_many_cells_some_are_shown_and_the_others_counted(view: LiveView) -> None:
    key = SEEDS[0].key
    others = {f"{key}{number}": point(SEEDS[0], 0.5, 1) for number in range(MOST_ROWS + 4)}
    view.progress.cells |= dict.fromkeys(others, SEEDS[0])
    view.progress.to_train |= dict.fromkeys(others, SEEDS[0].tokens)
    lines = drawn(view, Look(others, {}), 100)
    assert len(lines) == 2 + MOST_ROWS + 2
    assert lines[-2] == "and 4 more that run"


def test_when_all_have_ended_no_time_is_left(view: LiveView) -> None:
    ended = {cell.key: "finished" for cell in SEEDS}
    assert view.line(Look({}, ended, time.monotonic())) == "4/4 cells | all have ended"
