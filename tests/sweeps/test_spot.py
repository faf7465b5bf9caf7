"""A notice in the machine's metadata drains its node, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError

import pytest

from sweeps.spot import MARGIN_SECONDS, notice, watch
from tests.waiting import PATIENCE_SECONDS, wait_until


class Metadata(ThreadingHTTPServer):
    """An instance's metadata as AWS serves them: only to those who hold a token."""

    ends: datetime | None = None
    broken = 0
    """How many questions to answer with an error first."""
    asked = 0
    """How many questions were answered with a notice or with none."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        known = self.path == "/latest/api/token"
        lasts = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.answer(200 if known and lasts else 400, "the token")

    def do_GET(self) -> None:
        if self.server.broken:
            self.server.broken -= 1
            self.answer(503, "")
        elif self.headers.get("X-aws-ec2-metadata-token") != "the token":
            self.answer(401, "")
        elif self.path != "/latest/meta-data/spot/instance-action":
            self.answer(404, "")
        elif not self.server.ends:
            self.server.asked += 1
            self.answer(404, "")
        else:
            self.server.asked += 1
            ends = self.server.ends.strftime("%Y-%m-%dT%H:%M:%SZ")
            self.answer(200, f'{{"action": "terminate", "time": "{ends}"}}')

    def answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    server = Metadata(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_without_a_notice_there_is_none(metadata: Metadata) -> None:
    assert notice(metadata.address) is None


def test_a_notice_tells_when(metadata: Metadata) -> None:
    metadata.ends = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
    assert notice(metadata.address) == metadata.ends


def test_another_error_is_no_answer(metadata: Metadata) -> None:
    metadata.broken = 1
    with pytest.raises(HTTPError):
        notice(metadata.address)


def test_the_node_is_drained_once_with_what_is_left(metadata: Metadata) -> None:
    drained: list[float] = []
    metadata.broken = 2
    watcher = threading.Thread(target=watch, args=(drained.append, metadata.address, 0.05))
    watcher.start()
    wait_until(lambda: metadata.asked >= 3)
    assert watcher.is_alive()
    assert not drained
    metadata.ends = datetime.now(UTC) + timedelta(seconds=1000)
    watcher.join(timeout=PATIENCE_SECONDS)
    assert not watcher.is_alive()
    (left,) = drained
    assert 1000 - PATIENCE_SECONDS < left <= 1000 - MARGIN_SECONDS


def test_a_notice_that_comes_late_still_drains(metadata: Metadata) -> None:
    drained: list[float] = []
    metadata.ends = datetime.now(UTC) - timedelta(seconds=5)
    watch(drained.append, metadata.address, 0.05)
    assert drained == [1.0]
