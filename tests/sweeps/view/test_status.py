"""What `--status` says: before anything has begun, while a sweep runs, and when it was killed."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from data.errors import DataError
from data.store.location import Location
from data.store.lock import LOCK, held
from sweeps.sweep import Listed, Sweep
from sweeps.view import status
from sweeps.view.status import Alive, Report
from trainers.saved import CHECKSUM, STATE, next_name


@pytest.fixture
def fresh(tmp_path: Path) -> Sweep:
    """The quickstart, where nobody has started anything."""
    return Sweep("quickstart", (), Location.of(tmp_path))


def test_on_a_fresh_clone_nothing_has_begun(fresh: Sweep) -> None:
    said = status.without_data(fresh)
    assert said.startswith("quickstart: no cell has begun; the data are not prepared (")
    assert "The same command without --status prepares them and goes on." in said


def test_cells_whose_data_were_removed_are_not_said_to_be_missing(fresh: Sweep) -> None:
    (fresh.cells / "lstm-4k-seed0-0123" / "record.json").write_text("{}")
    assert status.without_data(fresh).startswith("quickstart: 1 cells are in ")


def test_it_starts_nothing_and_writes_nothing(fresh: Sweep, tmp_path: Path) -> None:
    status.show(fresh, "")
    assert list(tmp_path.iterdir()) == []


def test_data_that_are_there_and_cannot_be_read_are_still_an_error(
    fresh: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fresh.data("abc") / "manifest.json").write_text("{}")

    def damaged(sweep: Sweep) -> None:
        raise DataError("manifest.json is damaged")

    monkeypatch.setattr(Sweep, "listed", damaged)
    with pytest.raises(DataError, match="damaged"):
        status.show(fresh, "")


CELL_LISTED = Listed("a", 100, 4000, {"batch_tokens": 10}, trunk="a-trunk-b", trunk_steps=80)


def test_a_cell_stands_where_the_newest_of_its_and_its_trunks_checkpoints_stands(
    fresh: Sweep,
) -> None:
    def standing() -> tuple[str, str]:
        (state,) = status.states(fresh, [CELL_LISTED], Alive())
        return state.status, state.detail

    assert standing() == ("to start", "")
    for key, step, said in (
        ("a-trunk-b", 40, "at step 40 of 100"),
        ("a", 10, "at step 40 of 100"),
        ("a-trunk-b", 81, "at step 40 of 100"),  # It decays before that.
        ("a", 90, "at step 90 of 100"),
    ):
        place = fresh.cells / key / next_name(step)
        for name in (STATE, CHECKSUM):
            (place / name).write_text("")
        assert standing() == ("resumable", said)


def test_cells_of_a_running_job_are_next_and_those_of_others_wait(fresh: Sweep) -> None:
    cells = [replace(CELL_LISTED, key=key) for key in "abcd"]
    alive = Alive({"b": 500.0}, [["b", "c"], ["d"]])
    found = {state.cell.key: state.status for state in status.states(fresh, cells, alive)}
    assert found == {"a": "to start", "b": "running", "c": "next", "d": "to start"}


def test_a_sweep_that_was_killed_on_this_machine_does_not_run(fresh: Sweep) -> None:
    """Its report is young, and its process is gone."""
    with held(fresh.folder, "sweeps there"):
        fresh.alive.write_text(json.dumps(asdict(Report(time.time(), {"a": 1}, [["a"]]))))
        assert status.alive(fresh).running == {"a": 1}
    gone = subprocess.Popen(["true"])
    gone.wait()
    (fresh.folder / LOCK).write_text(f"process {gone.pid} on {socket.gethostname()} sweeps there")
    assert status.alive(fresh) == Alive()
