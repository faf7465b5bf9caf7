"""What `--status` says before anything has been prepared or trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import DataError
from data.store.location import Location
from sweeps import status
from sweeps.sweep import Sweep


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
