"""Who has the token is let in; whoever else asks, and however, is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sweeps.tracking.gate import Gate, link

TOKEN = "0123456789abcdef"
HERE = {"host": "127.0.0.1:5000"}


def ask(
    path: str, headers: dict[str, str], method: str = "GET", kind: str = "http"
) -> tuple[int, dict[str, str]]:
    """Status and headers of what is answered; a status of 200 comes from behind the gate."""
    path, _, query = path.partition("?")
    sent: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("nothing is read before the gate")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    asyncio.run(Gate(behind, TOKEN)(scope, receive, send))
    first = sent[0]
    if first["type"] == "websocket.close":
        return 403, {}
    return first["status"], {name.decode(): text.decode() for name, text in first["headers"]}


def test_the_link_gives_a_cookie_and_leaves_the_token_out_of_the_address() -> None:
    path = link(5000, TOKEN).removeprefix("http://127.0.0.1:5000")
    status, headers = ask(path, HERE)
    assert (status, headers["location"]) == (303, "/")
    cookie, *limits = headers["set-cookie"].split("; ")
    assert set(limits) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert ask("/", HERE | {"cookie": f"other=1; {cookie}"})[0] == 200


def test_the_rest_of_the_address_is_kept_and_leads_nowhere_else() -> None:
    assert ask(f"/a b?x=1&token={TOKEN}&y=", HERE)[1]["location"] == "/a%20b?x=1&y="
    assert ask(f"//evil.example?token={TOKEN}", HERE)[1]["location"] == "/evil.example"


def test_a_program_sends_the_token_with_every_request() -> None:
    assert ask("/api", HERE | {"authorization": f"Bearer {TOKEN}"}, "POST")[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/health", "/version", "/api/2.0/mlflow/x", "/?token=", "/?token=%ff"]
)
@pytest.mark.parametrize(
    "brought",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {TOKEN}0"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"cookie": "crescendo="},
        {"cookie": f"other={TOKEN}"},
        {"cookie": "crescendo=\xff"},
    ],
)
def test_all_else_is_refused(path: str, brought: dict[str, str]) -> None:
    assert ask(path, HERE | brought) == (403, ask("/", HERE)[1])


def test_a_websocket_is_refused() -> None:
    assert ask("/", HERE | {"cookie": f"crescendo={TOKEN}"}, kind="websocket")[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:81", "localhost", "[::1]:5000"])
def test_names_of_loopback_are_known(host: str) -> None:
    assert ask("/", {"host": host, "cookie": f"crescendo={TOKEN}"})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "10.evil.example",
        "evil.example:5000",
        "127.0.0.1.evil.example",
        "192.168.0.2",
        "",
        "[",
        "a@b",
    ],
)
def test_any_other_name_may_be_a_strangers_that_leads_here(host: str) -> None:
    for headers in ({"cookie": f"crescendo={TOKEN}"}, {"authorization": f"Bearer {TOKEN}"}):
        assert ask("/", {"host": host} | headers)[0] == 403
    assert ask(f"/?token={TOKEN}", {"host": host})[0] == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:5000", 200),
        ("http://127.0.0.1:6000", 403),
        ("http://localhost:5000", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_a_page_of_another_address_may_ask_nothing(origin: str, status: int) -> None:
    asks = HERE | {"cookie": f"crescendo={TOKEN}", "origin": origin}
    assert ask("/api", asks, "POST")[0] == status
