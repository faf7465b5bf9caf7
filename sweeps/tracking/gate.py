"""Lets into a web application only who brings a secret: every user of a machine, and every page in
this user's browser, can reach the ports of its loopback interface.

A browser brings it once, in a link, and keeps it in a cookie; a program brings it with every
request, as MLflow's client does with MLFLOW_TRACKING_TOKEN.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

COOKIE = "crescendo"
QUERY = "token"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
CLOSED = "Open the link that `python sweeps/ui.py` prints, or send its token."

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def link(port: int, token: str, page: str = "") -> str:
    """page: where in the application it leads, as its pages write it behind a #."""
    return f"http://127.0.0.1:{port}/?{urlencode({QUERY: token})}{page and f'#{page}'}"


class Gate:
    """An ASGI application in front of another."""

    def __init__(self, app: App, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # MLflow has no websockets, and closing before accepting is answered by 403.
            await send({"type": "websocket.close"})
            return
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        others = [pair for pair in pairs if pair[0] != QUERY]
        if not _asks_here(headers):
            await _answer(send, 403, text="Expected a page of this address, asked for by its name.")
        elif self._is_token(dict(pairs).get(QUERY, "")):
            # Out of the address, where it would stand in the browser's history.
            where = "/" + quote(scope["path"].lstrip("/"))
            where += "?" + urlencode(others) if others else ""
            cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(send, 303, {"location": where, "set-cookie": cookie})
        elif self._is_token(_brought(headers)):
            await self.app(scope, receive, send)
        else:
            await _answer(send, 403, text=CLOSED)

    def _is_token(self, word: str) -> bool:
        return secrets.compare_digest(word.encode(), self.token.encode())


def _asks_here(headers: dict[str, str]) -> bool:
    """Whether a request is for a name of loopback, and from no page of another address.

    Another name may be one that its owner lets point here; another page may be a stranger's, on
    another port of this machine, to which the browser sends the cookie as well.
    """
    host = headers.get("host", "")
    try:
        known = urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False
    return known and headers.get("origin", f"http://{host}") == f"http://{host}"


def _brought(headers: dict[str, str]) -> str:
    """The secret that a request brings; "" if none."""
    scheme, _, word = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return word.strip()
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


async def _answer(
    send: Send, status: int, headers: dict[str, str] | None = None, text: str = ""
) -> None:
    kind = {"content-type": "text/plain; charset=utf-8", "referrer-policy": "no-referrer"}
    lines = [(name.encode(), value.encode()) for name, value in (kind | (headers or {})).items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": text.encode()})
