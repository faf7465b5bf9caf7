"""Our own MLflow server, for users without one: one a folder, over SQLite."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

FIRST_PORT = 5000
STARTING = Path(tempfile.gettempdir()) / f"crescendo-mlflow-{os.getuid()}.lock"


@dataclass(frozen=True)
class Server:
    """An MLflow server over SQLite below a folder, for users without a server."""

    uri: str
    log: Path
    pid: int | None
    """None if a live process other than ours owns the server."""

    @classmethod
    def start(cls, folder: Path, port: int = FIRST_PORT) -> Server:
        """Start a server, or join the one that serves `folder` now. Returns before it answers.

        SQLite needs one owner: two servers over one file race in its migrations. A server whose
        owner was killed is adopted.
        """
        folder.mkdir(parents=True, exist_ok=True)
        address, log = folder / "server.json", folder / "server.log"
        if address.exists():
            old = json.loads(address.read_text())
            # If this folder's server has died, another folder's may answer.
            if _alive(old["pid"]) and _answers(old["uri"]):
                return cls(old["uri"], log, None if _alive(old["owner"]) else old["pid"])
        # Two sweeps starting at once could choose the same port, and one log to the other's server.
        starting = STARTING.open("w")
        fcntl.flock(starting, fcntl.LOCK_EX)
        port = free_port(port)
        uri = f"http://127.0.0.1:{port}"
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder.resolve()}/mlflow.db"),
            *("--artifacts-destination", str(folder.resolve() / "artifacts")),
        ]
        with log.open("ab") as file:
            # In its own session, so that Ctrl-C ends the sweep first and the server after it.
            process = subprocess.Popen(
                command,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        owned = json.dumps({"uri": uri, "pid": process.pid, "owner": os.getpid()})
        aside = address.with_suffix(".tmp")
        aside.write_text(owned)
        os.replace(aside, address)
        threading.Thread(target=_free, args=(starting, process, port), daemon=True).start()
        return cls(uri, log, process.pid)

    def wait(self, seconds: float = 180) -> None:
        """Return when the server answers. Raises RuntimeError if it does not."""
        until = time.monotonic() + seconds
        while not _answers(self.uri):
            if time.monotonic() > until:
                raise RuntimeError(f"no MLflow server answers at {self.uri}; see {self.log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the server, if it is ours."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)


def free_port(first: int) -> int:
    """The first free port from `first` on."""
    for port in range(first, first + 100):
        if not _is_taken(port):
            return port
    raise RuntimeError(f"no free port between {first} and {first + 99}")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))


def _free(lock: TextIO, server: subprocess.Popen, port: int) -> None:
    """Let others choose a port once the server is listening or has ended."""
    while server.poll() is None and not _is_taken(port):
        time.sleep(0.1)
    lock.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False
