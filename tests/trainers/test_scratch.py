"""Ray Train is handed nothing of another's: it deletes the folders that a snapshot names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data.store.location import Location
from trainers import job
from trainers.cell import Cell, Placement
from trainers.job import SCRATCH, Listener


def test_a_snapshot_that_lies_in_a_folder_of_cells_is_never_rays(
    cell: Cell, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, foreign = tmp_path / "cells", tmp_path / "foreign"
    foreign.mkdir()
    snapshot = {"checkpoint_results": [{"checkpoint_dir_name": str(foreign)}]}
    for place in (cells / cell.key, cells / SCRATCH, cells / SCRATCH / cell.key):
        place.mkdir(parents=True, exist_ok=True)
        (place / "checkpoint_manager_snapshot.json").write_text(json.dumps(snapshot))
    handed: list[Path] = []

    class Recorder:
        def __init__(self, work: Any, run_config: Any, **other: Any) -> None:
            handed.append(Path(run_config.storage_path) / run_config.name)

        def fit(self) -> None:
            """Where Ray reads its snapshot, if there is one."""
            assert not handed[-1].exists()

    monkeypatch.setattr(job, "TorchTrainer", Recorder)

    def nothing(*told: Any) -> None:
        """Hears no one."""

    listener = Listener(nothing, nothing, nothing, lambda: False)
    for _ in range(2):
        job._run([cell], Location.of(packed), Location.of(cells), Placement(), listener)
    assert handed[0] != handed[1]
    assert all(place.parent == cells / SCRATCH for place in handed)
    assert foreign.is_dir()
