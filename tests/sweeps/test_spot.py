"""A notice in the machine's metadata drains its node, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError

import pytest

from sweeps.spot import GOOGLE_SECONDS, MARGIN_SECONDS, aws, google, watch
from tests.waiting import PATIENCE_SECONDS, wait_until


class Metadata(ThreadingHTTPServer):
    """An instance's metadata, which the handler serves as a cloud does."""

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

    def answer(self, code: int, text: str = "") -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def breaks(self) -> bool:
        if broken := self.server.broken > 0:
            self.server.broken -= 1
            self.answer(503)
        return broken

    def log_message(self, *_: object) -> None:
        """Silence."""


class Aws(Handler):
    """Only to those who hold a token."""

    def do_PUT(self) -> None:
        known = self.path == "/latest/api/token"
        lasts = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.answer(200 if known and lasts else 400, "the token")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "the token":
            self.answer(401)
        elif self.path != "/latest/meta-data/spot/instance-action":
            self.answer(404)
        elif not self.breaks():
            self.server.asked += 1
            ends = self.server.ends and self.server.ends.strftime("%Y-%m-%dT%H:%M:%SZ")
            told = f'{{"action": "terminate", "time": "{ends}"}}'
            self.answer(*(200, told) if ends else (404, ""))


class Google(Handler):
    """Only to those who name it, lest a page in a browser asks; of when it ends, nothing."""

    def do_PUT(self) -> None:
        self.answer(405)

    def do_GET(self) -> None:
        if self.path != "/computeMetadata/v1/instance/preempted":
            self.answer(404)
        elif self.headers.get("Metadata-Flavor") != "Google":
            self.answer(403)
        elif not self.breaks():
            self.server.asked += 1
            self.answer(200, "TRUE" if self.server.ends else "FALSE")


def serve(handler: type[Handler]) -> Iterator[Metadata]:
    server = Metadata(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    yield from serve(Aws)


@pytest.fixture
def of_google() -> Iterator[Metadata]:
    yield from serve(Google)


@pytest.fixture(params=[Aws, Google])
def of_any(request: pytest.FixtureRequest) -> Iterator[Metadata]:
    yield from serve(request.param)


def test_without_a_notice_there_is_none(metadata: Metadata, of_google: Metadata) -> None:
    assert aws(metadata.address) is None
    assert google(of_google.address) is None


def test_a_notice_of_aws_tells_when(metadata: Metadata) -> None:
    metadata.ends = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
    assert aws(metadata.address) == metadata.ends


def test_a_notice_of_google_is_of_thirty_seconds(of_google: Metadata) -> None:
    of_google.ends = datetime.now(UTC)
    given = timedelta(seconds=GOOGLE_SECONDS)
    before = datetime.now(UTC)
    found = google(of_google.address)
    assert found is not None
    assert before + given <= found <= datetime.now(UTC) + given


def test_another_error_is_no_answer(metadata: Metadata, of_google: Metadata) -> None:
    metadata.broken = of_google.broken = 1
    with pytest.raises(HTTPError):
        aws(metadata.address)
    with pytest.raises(HTTPError):
        google(of_google.address)


def test_the_node_is_drained_once_with_what_is_left(of_any: Metadata) -> None:
    drained: list[float] = []
    of_any.broken = 2
    watcher = threading.Thread(target=watch, args=(drained.append, of_any.address, 0.05))
    watcher.start()
    wait_until(lambda: of_any.asked >= 3)
    assert watcher.is_alive()
    assert not drained
    of_any.ends = datetime.now(UTC) + timedelta(seconds=1000)
    watcher.join(timeout=PATIENCE_SECONDS)
    assert not watcher.is_alive()
    (left,) = drained
    given = 1000 if of_any.RequestHandlerClass is Aws else GOOGLE_SECONDS
    assert max(0, given - PATIENCE_SECONDS) < left <= given - MARGIN_SECONDS


def test_a_notice_that_comes_late_still_drains(metadata: Metadata) -> None:
    drained: list[float] = []
    metadata.ends = datetime.now(UTC) - timedelta(seconds=5)
    watch(drained.append, metadata.address, 0.05)
    assert drained == [1.0]
