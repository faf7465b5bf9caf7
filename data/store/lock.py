"""One process at a time in a folder: a second is refused in a line, and one that is killed leaves
no lock behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
from collections.abc import Iterator

from data.errors import DataError
from data.store.location import Location, own_file

LOCK = ".lock"
SHOWN = 200
"""Characters of what the holder says of itself."""


@contextlib.contextmanager
def held(folder: Location, does: str) -> Iterator[None]:
    """Hold a folder, which is made if it is missing, for this process alone.

    does: what this process does there, for the message to a second one: "sweeps there".
    Raises DataError if another process holds it, or a link stands for the lock. Nothing is held in
    a bucket, nor on a file system that knows no locks.
    """
    if folder.local is None:
        yield
        return
    folder.local.mkdir(parents=True, exist_ok=True)
    # The kernel lets go of it when the process ends, however that ends.
    with open(folder.local / LOCK, "a+", errors="replace", opener=own_file) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DataError(
                f"{folder}: {file.read(SHOWN)}; wait for its end, or use another folder"
            ) from None
        except OSError:
            pass
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} {does}")
        file.flush()
        yield


def has_ended(folder: Location) -> bool:
    """Whether the process that held a folder last ran on this machine and is there no more."""
    if folder.local is None:
        return False
    try:
        with open(folder.local / LOCK, errors="replace", opener=own_file) as file:
            found = re.match(r"process (\d{1,9}) on (\S+) ", file.read(SHOWN))
    except (OSError, DataError):
        return False
    if found is None or found[2] != socket.gethostname():
        return False
    # Looked up and not locked: a sweep that begins just then would be refused.
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
