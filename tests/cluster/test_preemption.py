"""A notice of preemption, of a machine or a pod: its node is drained, its cell saves and goes on
elsewhere, in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import ray
import yaml
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
"""What AWS gives, and `docs/cluster/rayjob.yaml`."""
JOB = Path(__file__).parents[2] / "docs" / "cluster" / "rayjob.yaml"
RAY = str(Path(sys.executable).with_name("ray"))


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster of a head without CPUs."""
    for name, value in QUIET_AND_QUICK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "1")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_a_cell_saves_and_moves_before_its_machine_goes(
    head: Cluster, metadata: Metadata, cell: Cell, packed: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        head.add_node(num_cpus=1)

    def notice(taken: str) -> None:
        def drain(seconds: float) -> None:
            command = [
                *(RAY, "drain-node", "--address", head.address),
                *("--node-id", taken, "--reason", "DRAIN_NODE_REASON_PREEMPTION"),
                *("--reason-message", "test", "--deadline-remaining-seconds", str(int(seconds))),
            ]
            subprocess.run(command, check=True, capture_output=True)

        metadata.ends = datetime.now(UTC) + timedelta(seconds=NOTICE_SECONDS)
        watch(drain, metadata.address)

    saves_and_moves(cell, packed, tmp_path, notice)


@pytest.mark.slow
def test_a_cell_saves_and_moves_when_its_pod_gets_sigterm(
    head: Cluster, cell: Cell, packed: Path, tmp_path: Path
) -> None:
    """As KubeRay starts a worker, and as Kubernetes ends one."""
    (worker, *_) = yaml.safe_load(JOB.read_text())["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    given = worker["template"]["spec"]["containers"][0]["env"]
    env = os.environ | {each["name"]: each["value"] for each in given}
    pods: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str) -> None:
        ray_start = f"{RAY} start --address {head.address} --block --num-cpus 1"
        command = f"""ulimit -c 0; {ray_start} --resources '{{"{name}": 1}}'"""
        # Ray gives a node 30 s to start, too few on a busy machine; a pod that has ended
        # is made anew.
        while name not in pods or pods[name].poll() is not None:
            pods[name] = subprocess.Popen(
                ["/bin/bash", "-c", "--", command],
                env=env,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            wait_until(lambda: name in ray.cluster_resources() or pods[name].poll() is not None)

    gone: list[str] = []

    def notice(taken: str) -> None:
        (node,) = [node for node in ray.nodes() if node["NodeID"] == taken]
        gone.extend(set(pods) & set(node["Resources"]))
        pods[gone[0]].send_signal(signal.SIGTERM)

    try:
        for name in ("first", "second"):
            start(name)
        saves_and_moves(cell, packed, tmp_path, notice)
        # Once it is empty, the pod does not wait for the end of its time.
        pods[gone[0]].wait(NOTICE_SECONDS)
    finally:
        for pod in pods.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pod.pid, signal.SIGKILL)


def saves_and_moves(cell: Cell, packed: Path, folder: Path, notice: Callable[[str], None]) -> None:
    """Train on one of two nodes, of which `notice`, called with its id, says that it goes."""
    cell = replace(cell, arch="lstm", tokens=100 * cell.batch_tokens)
    place, moved, cells = folder / "node", folder / "moved", folder / "cells"

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
    given = time.monotonic()
    try:
        notice(taken)
        wait_until(lambda: place.read_text() not in (taken, ""), NOTICE_SECONDS)
        # From its beginning it would train for half a minute before it saved anything.
        assert any((cells / cell.key).glob("checkpoint_*/state.sha256"))
        assert time.monotonic() - given < NOTICE_SECONDS
    finally:
        moved.touch()
        training.join(PATIENCE_SECONDS)
    record = record_of(cells, cell)
    assert record.status == "finished"
    # The curve is whole: the points before the notice came from the checkpoint.
    steps = [step for step in range(1, 101) if is_point(step) or step == 100]
    assert [point["tokens"] for point in record.curve] == [
        step * cell.batch_tokens for step in steps
    ]
