"""A sweep in a bucket, through a network that is cut, and a driver that is killed."""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from data.store.location import Location
from harness.serving import Served, served
from tests.sweeps.real_command import running, write_grid
from trainers.records import Record, read_record

CUT_SECONDS = 30
"""How long the network is away: part of the fault, and no wait for anything."""


class Wire(socketserver.ThreadingTCPServer):
    """A way to a server, byte by byte, which can be cut: nothing is refused, nothing arrives."""

    daemon_threads = True

    def __init__(self, to: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.to = to
        self.whole = threading.Event()
        self.whole.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def cut(self, seconds: float) -> None:
        self.whole.clear()
        time.sleep(seconds)
        self.whole.set()


class Passing(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        self.server.whole.wait()
        with socket.create_connection(self.server.to) as far:
            back = threading.Thread(target=self.carry, args=(far, self.request), daemon=True)
            back.start()
            self.carry(self.request, far)
            back.join()

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        # Either end may be gone: who cannot wait hangs up.
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.server.whole.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def wire(bucket: str) -> Iterator[Wire]:
    host, port = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://").split(":")
    with Wire((host, int(port))) as wire:
        threading.Thread(target=wire.serve_forever, daemon=True).start()
        yield wire
        wire.shutdown()


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as server:
        yield server


@pytest.mark.slow
def test_a_killed_driver_and_a_network_that_is_away_cost_time_and_nothing_else(
    source: Path, tmp_path: Path, bucket: str, wire: Wire, mlflow: Served
) -> None:
    grid = write_grid(tmp_path, source, archs="lstm", tokens="1M", every=0.5)
    out, log = Location.of(f"s3://{bucket}/{uuid.uuid4().hex}"), tmp_path / "log"
    env = mlflow.environment | {"AWS_ENDPOINT_URL": wire.url}
    cells = out / "small" / "cells"
    # All that is done with it there is to print it and to go below it.
    as_path = cast(Path, out)

    with running(grid, as_path, log, **env) as sweep:
        sweep.wait_for(lambda: checkpoints(cells))
        sweep.process.kill()
    killed, before = time.time(), checkpoints(cells)

    with running(grid, as_path, log, **env) as sweep:
        sweep.wait_for(lambda: checkpoints(cells) - before)
        wire.cut(CUT_SECONDS)
        assert sweep.end() == 0, log.read_text()

    ended = records(cells)
    assert [record.status for record in ended.values()] == ["finished"] * 2
    for key in {place.parent.name for place in before}:
        # It went on from its checkpoint of before the kill.
        assert ended[key].curve[0]["time"] < killed
    for record in ended.values():
        # No step is missing and none was reported twice.
        steps = [point["tokens"] for point in record.curve]
        assert steps == sorted(set(steps))
        assert steps[-1] == record.params["tokens"]
    assert (out / "small" / "report" / "report.html").exists()


def checkpoints(cells: Location) -> set[Location]:
    """Those that are whole."""
    found = (place for cell in cells.children() for place in cell.children())
    return {place for place in found if (place / "state.sha256").exists()}


def records(cells: Location) -> dict[str, Record]:
    found = {cell.name: read_record(cells, cell.name) for cell in cells.children()}
    return {key: record for key, record in found.items() if record}
