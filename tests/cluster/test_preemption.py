"""A spot machine's notice: its node is drained, its cell saves and goes on elsewhere, in time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from data.store.location import Location
from sweeps.spot import watch
from tests.sweeps.test_spot import Metadata, metadata
from tests.trainers.listening import listener, record_of
from tests.waiting import PATIENCE_SECONDS, wait_until
from trainers.cell import Cell, Placement
from trainers.curve import Point, is_point
from trainers.job import QUIET_AND_QUICK, fit

__all__ = ["metadata"]
NOTICE_SECONDS = 120
"""What AWS gives."""


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster of a head without CPUs and two nodes of one."""
    for name, value in QUIET_AND_QUICK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "1")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_a_cell_saves_and_moves_before_its_machine_goes(
    two_workers: str, metadata: Metadata, cell: Cell, packed: Path, tmp_path: Path
) -> None:
    cell = replace(cell, arch="lstm", tokens=100 * cell.batch_tokens)
    place, moved, cells = tmp_path / "node", tmp_path / "moved", tmp_path / "cells"

    def report(cell: Cell, points: list[Point]) -> None:
        place.write_text(ray.get_runtime_context().get_node_id())
        # Some eighty points: on any machine, the cell is still running when the notice comes.
        if not moved.exists():
            time.sleep(0.5)

    data, storage = Location.of(packed), Location.of(cells)
    never = Placement(checkpoint_seconds=10**6)
    job = ([cell], data, storage, never, listener(cells, report))
    training = threading.Thread(target=fit, args=job, daemon=True)
    training.start()
    wait_until(place.exists)
    taken = wait_until(place.read_text)

    def drain(seconds: float) -> None:
        command = [
            *(str(Path(sys.executable).with_name("ray")), "drain-node", "--address", two_workers),
            *("--node-id", taken, "--reason", "DRAIN_NODE_REASON_PREEMPTION"),
            *("--reason-message", "test", "--deadline-remaining-seconds", str(int(seconds))),
        ]
        subprocess.run(command, check=True, capture_output=True)

    metadata.ends = datetime.now(UTC) + timedelta(seconds=NOTICE_SECONDS)
    watch(drain, metadata.address)
    saved = cells / cell.key
    wait_until(lambda: any(saved.glob("checkpoint_*/state.sha256")), NOTICE_SECONDS)
    wait_until(lambda: place.read_text() not in (taken, ""), NOTICE_SECONDS)
    assert datetime.now(UTC) < metadata.ends
    moved.touch()
    training.join(PATIENCE_SECONDS)
    record = record_of(cells, cell)
    assert record.status == "finished"
    # The curve is whole: the points before the notice came from the checkpoint.
    steps = [step for step in range(1, 101) if is_point(step) or step == 100]
    assert [point["tokens"] for point in record.curve] == [
        step * cell.batch_tokens for step in steps
    ]
