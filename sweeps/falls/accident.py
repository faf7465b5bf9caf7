"""An error that nobody foresaw: a file to attach to a report of it, and one line that names it."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from data.errors import DataError
from data.store.location import own_file
from data.store.private import private_folder
from fitting.runs.escape import masked

PACKAGES = ("ray", "torch", "mlflow", "pyarrow", "numpy")
LAST_BYTES = 8192
"""How much is kept of the end of the log."""
SECRET = re.compile("TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|_KEY", re.IGNORECASE)
"""In the name of a variable of the environment whose value nobody else should see."""
SHORTEST_SECRET = 6
"""Characters. A shorter value stands in most texts by chance."""


def told(error: Exception, log: Path) -> str:
    """Write down what is known of an error; the line to tell the user.

    log: where the output of libraries goes. What is written lies beside it, or else, where that
    cannot be written to, in this user's part of the temporary folder. It is for this user alone.
    """
    text = without_secrets(account(error, log))
    name = f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    what = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]:.200}"
    for place in (lambda: log.parent, lambda: private_folder("errors")):
        try:
            folder = place()
            with open(
                folder / name, "x", opener=lambda path, how: os.open(path, how, 0o600)
            ) as file:
                file.write(text)
        except (OSError, DataError):
            continue
        return (
            f"run_grid: an error that was not foreseen: {what}. Nothing that was saved is lost: "
            f"try the same command, and if it comes again, report it with {folder / name}"
        )
    return f"run_grid: an error that was not foreseen, and no room to write it down: {what}"


def account(error: Exception, log: Path) -> str:
    """Versions, the command, the traceback and the last lines of the log."""
    try:
        with open(log, "rb", opener=own_file) as file:
            file.seek(max(0, log.stat().st_size - LAST_BYTES))
            last = file.read().decode(errors="replace")
    except (OSError, DataError) as gone:
        last = f"(none: {gone})"
    parts = {
        "versions": f"Python {platform.python_version()}, {platform.platform()}, "
        + ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "command": " ".join(sys.argv),
        "traceback": "".join(traceback.format_exception(error)),
        f"last lines of {log.name}": last,
    }
    return "\n\n".join(f"--- {title}\n{text.strip()}" for title, text in parts.items()) + "\n"


def without_secrets(text: str) -> str:
    """The text without passwords of addresses, and without secrets of the environment."""
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "***")
    return masked(text)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(none)"
