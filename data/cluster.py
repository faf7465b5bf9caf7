"""The Ray that this process works with: a cluster's, or one of its own.

Left to itself, Ray joins whatever a file in the shared temporary folder names, whoever wrote it,
and sends it this user's token.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray._common.utils import get_default_system_temp_dir, get_ray_address_file
from ray._private import ray_constants
from ray._private.authentication import authentication_token_setup

from data.store.private import private_folder, secret

LOCAL, AUTO = "local", "auto"
"""Ray's words for no cluster, and for the one that its file names."""
ANSWER_SECONDS = 10
"""How long a cluster may take to accept a connection."""
SHOWN = 400
"""Characters of what Ray says."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def join(**options: Any) -> bool:
    """`ray.init` with these options; whether that started Ray for this process alone.

    Joined is the cluster that RAY_ADDRESS names, or the one that this user's `ray start` made here.
    Raises OSError if there is no Ray to work with.
    """
    no_proxy_for_loopback()
    # Unless it is told not to, Ray tells its makers what it is used for.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    named = os.environ.get("RAY_ADDRESS", "")
    if named not in ("", AUTO, LOCAL):
        refuse_silence(named, "RAY_ADDRESS is")
        with _told(f"RAY_ADDRESS is {named}, where no Ray was joined"):
            ray.init(**options)
        return False
    # For these words Ray would follow its file, whoever wrote it, here and in what is started here.
    os.environ.pop("RAY_ADDRESS", None)
    if found := None if named == LOCAL else started_here():
        refuse_silence(found, "`ray start` said that there is a cluster at")
        authentication_token_setup.maybe_enable_token_auth_if_token_available(False)
        with _told(f"no Ray was joined at {found}, where `ray start` said there is one"):
            ray.init(found, **options)
        return False
    if named == AUTO:
        raise OSError(
            "RAY_ADDRESS is auto, but on this machine you have started no cluster that answers: "
            "give its address, or unset RAY_ADDRESS to have Ray start here"
        )
    # Ray would make it readable for everybody.
    token = Path.home() / ".ray" / "auth_token"
    try:
        secret(token)
    except OSError as error:
        raise OSError(
            f"{error}: Ray keeps its token there; set HOME to a folder of yours"
        ) from None
    # A cell trains in a thread, whose own heap would give its pages back at each step.
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    # Ray lets everybody write below it.
    folder = private_folder("ray", within=get_default_system_temp_dir())
    # As on a Mac: Ray then listens on loopback alone, which `_node_ip_address` does not let it do.
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        with (
            _hangups_ignored(),
            _told(
                "Ray did not start, which a machine that is very busy or full may be too slow for"
            ),
        ):
            ray.init(LOCAL, _temp_dir=str(folder), **options)
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
    return True


def no_proxy_for_loopback() -> None:
    """Have no proxy of the environment stand between this process, or its children, and itself."""
    for name in ("no_proxy", "NO_PROXY"):
        given = [each for each in os.environ.get(name, "").split(",") if each]
        os.environ[name] = ",".join([*given, *(each for each in LOOPBACK if each not in given)])


def refuse_silence(address: str, said: str) -> None:
    """Raises OSError if nothing listens at an address such as `10.0.0.1:6379`, for which Ray would
    wait for minutes, deaf to signals.

    said: the words before the address, for the error: who names it.
    """
    found = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address)
    if not found:
        return
    try:
        where = (found[1].strip("[]"), int(found[2]))
        socket.create_connection(where, timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise OSError(
            f"{said} {address}, where nothing answers ({error}): start the cluster, or "
            "unset RAY_ADDRESS to have Ray start here"
        ) from None


@contextlib.contextmanager
def _hangups_ignored() -> Iterator[None]:
    """What starts meanwhile does not end with its terminal, which tells all that it has started:
    whoever started it is told, and needs it to end well."""
    if threading.current_thread() is not threading.main_thread():
        yield  # The main thread alone may set what a signal does.
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Ray's errors at its start, which are of many kinds, as an OSError of one line."""
    try:
        yield
    except Exception as error:
        # Of a wrong version, the lines below the first say which.
        why = " ".join(str(error).split())[:SHOWN] or type(error).__name__
        raise OSError(f"{what}: {why} The same command tries again.") from error


def started_here() -> str | None:
    """The address of the cluster that this user's `ray start` made or joined on this machine.

    None, with a line if there is something to tell, where there is none.
    """
    file = Path(get_ray_address_file(None))
    try:
        return _own_address(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        print(
            f"Ray      the cluster in {file} is not joined: {error.strerror or error}. "
            "RAY_ADDRESS names one to join.",
            file=sys.__stderr__,
            flush=True,
        )
        return None


def _own_address(file: Path) -> str:
    """Raises OSError where the file is not this user's, or names what this user does not run."""
    opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(opened) as text:
        found = os.fstat(opened)
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
            raise OSError(f"expected a file of user {os.geteuid()}, found one of {found.st_uid}")
        address = text.read().strip()
    if not _is_served(address):
        raise OSError(f"no Ray of yours serves {address} any more, `ray stop` tidies up")
    return address


def _is_served(address: str) -> bool:
    """Whether a process of this user's Ray belongs to the cluster. Where nothing answers, Ray would
    wait for most of a minute; and where a stranger does, it would tell him the token."""
    import psutil  # Found only once Ray is imported, which brings it.

    return any(
        process.info["uids"].effective == os.geteuid()
        and f"--gcs-address={address}" in (process.info["cmdline"] or [])
        for process in psutil.process_iter(["uids", "cmdline"])
    )
