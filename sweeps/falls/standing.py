"""Ends a sweep, with a line, when what it stands on has fallen.

Where Ray's processes, the tracker or the sweep's folder are gone, Ray tries again for minutes or
for ever without a word, and a main thread that waits in Ray's C++ hears no signal.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from data.store.location import PATIENCE_SECONDS, Location
from sweeps.console import complain

if TYPE_CHECKING:
    import psutil

LOOK_SECONDS = 1.0
"""How often it is looked what stands."""
ASK_SECONDS = 5.0
"""How often the tracker is asked."""
SILENT_SECONDS = 45.0
"""The longest that the tracker may take to answer: Ray itself ends a process that has lost its head
after 60 s, in words of its own."""
END_SECONDS = 20.0
"""The longest that a sweep that was told to end may take, once nothing is being saved."""
CLOSE_SECONDS = 90.0
"""The longest that Ray may take to end of itself, with all that it has."""
SAVE_SECONDS = 30.0
"""The longest that cells may take to save; what is not saved by then is trained again."""
FULL_BYTES = 64 * 1024
"""A disk with less room is full: no record fits."""
GONE_LOOKS = 3
"""A network's file system may lose sight of a folder for a moment."""
NEEDED = {"gcs_server": "Ray's head process (gcs_server)", "raylet": "Ray's node process (raylet)"}
TRACKER_FELL = "the tracker, which writes to MLflow, was killed or has crashed"
GOES_ON = "Nothing that was saved is lost: the same command goes on from there."


Handler = Callable[[int, FrameType | None], Any]


def on_signals(handler: Handler) -> dict[int, Any]:
    """Have a handler called on the signals that tell a sweep to end. Returns what was before.

    A closed terminal that is ignored, as `nohup` has it, stays ignored.
    """
    told = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        told.append(signal.SIGHUP)
    return {number: signal.signal(number, handler) for number in told}


class Standing:
    """A context whose thread ends this process, and all that it has started, with a line: if Ray,
    the tracker or the sweep's folder is gone, or if a signal was not obeyed."""

    def __init__(self, folder: Location, alive: Location) -> None:
        """alive: what is removed at such an end, as then nothing is."""
        self.folder, self.alive = folder.local, alive.local
        self.place = _identity(self.folder) if self.folder else None
        self.children: set[psutil.Process] = set()
        self.saves = False
        self.closing: float | None = None
        self.answered: float | None = None
        self.fallen = ""
        self.end_by: float | None = None
        self.full_since: float | None = None
        self.missed = 0
        self.over, self.asked_enough = threading.Event(), threading.Event()
        self.asking: threading.Thread | None = None

    def __enter__(self) -> Standing:
        # Written to by C when a signal comes, whatever the main thread is doing.
        self.heard, self.ear = socket.socketpair()
        self.heard.setblocking(False)
        self.ear.setblocking(False)
        self.before = signal.set_wakeup_fd(self.ear.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self.before)
        self.over.set()
        self._kill()

    def joined(self, address: str) -> None:
        """Watch the head of the cluster at this address, which is not a process of ours."""
        threading.Thread(target=self._call, args=[address], daemon=True).start()

    def stands_on(self, tracker: Any) -> None:
        """Watch the tracker's actor as well; and from now on there is something to save."""
        self.saves = True
        self.asking = threading.Thread(target=self._ask, args=[tracker], daemon=True)
        self.asking.start()

    def close(self) -> None:
        """From now on Ray's processes may end."""
        self.closing = time.monotonic()
        self.asked_enough.set()
        if self.asking:
            # Who asks Ray after its end starts it again.
            self.asking.join(SILENT_SECONDS)

    # The threads.

    def _look(self) -> None:
        looked = time.monotonic()
        while not self.over.wait(LOOK_SECONDS):
            now = time.monotonic()
            if now - looked > ASK_SECONDS:
                self.answered = None  # This process was stopped, and others seem silent.
            looked = now
            try:
                self._look_once(now)
            except Exception:  # One look that fails must not be the last.
                traceback.print_exc()

    def _look_once(self, now: float) -> None:
        self._remember()
        self._hear(now)
        if self.end_by and now > self.end_by:
            self._end("Interrupted. Nothing is lost: the same command goes on.", 130)
        if self.closing is None:
            if why := self._ray() or self.fallen or self._silence(now) or self._storage(now):
                # Who ends a sweep may tell Ray's processes as well, and they do not wait for it.
                who, code = ("Interrupted", 130) if self.end_by else ("run_grid", 1)
                self._end(f"{who}: {why}. {GOES_ON}", code)
        elif now - self.closing > CLOSE_SECONDS:
            self._kill()

    def _ask(self, tracker: Any) -> None:
        import ray
        from ray.exceptions import GetTimeoutError, RayError

        told, heard = "", 0
        while not self.asked_enough.wait(ASK_SECONDS):
            asked = [tracker.trouble.remote(), tracker.stopped_jobs.remote()]
            try:
                trouble, stopped = ray.get(asked, timeout=SILENT_SECONDS)
            except GetTimeoutError:
                continue
            except RayError:
                self.fallen = TRACKER_FELL
                return
            self.answered = time.monotonic()
            if trouble != told:
                told = trouble
                complain(f"MLflow   {trouble}" if trouble else "MLflow   It answers again.")
            for why in stopped[heard:]:
                complain(f"Stopped  {why}. Jobs that run go on.")
            heard = len(stopped)

    def _call(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        answered = time.monotonic()
        while not self.asked_enough.wait(ASK_SECONDS):
            with contextlib.suppress(OSError):
                socket.create_connection((host.strip("[]"), int(port)), ASK_SECONDS).close()
                answered = time.monotonic()
            if time.monotonic() - answered > SILENT_SECONDS:
                self.fallen = f"the head of the cluster, {address}, is lost: nothing listens there"
                return

    def _remember(self) -> None:
        """Note what this process has started while it is known: what has lost its parent is
        nobody's child."""
        if "psutil" not in sys.modules:  # Ray brings it.
            return
        import psutil

        with contextlib.suppress(psutil.Error):
            self.children = {each for each in self.children if each.is_running()}
            self.children |= set(psutil.Process().children(recursive=True))

    def _hear(self, now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self.heard.recv(64):
                if number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    first = self.end_by is None and self.saves
                    self.end_by = now + END_SECONDS + (SAVE_SECONDS if first else 0)

    # What may have fallen; each says it, or nothing.

    def _ray(self) -> str:
        worker = sys.modules.get("ray._private.worker")
        node = getattr(worker, "_global_node", None)
        with contextlib.suppress(RuntimeError):  # Ray is starting some.
            for kind, process in node.dead_processes() if node else []:
                if kind in NEEDED:
                    return f"{NEEDED[kind]} has ended ({_how(process.returncode)})"
        return ""

    def _silence(self, now: float) -> str:
        if self.answered is None or now - self.answered < SILENT_SECONDS:
            return ""
        return (
            f"the tracker, which runs on Ray's head, has not answered for {SILENT_SECONDS:.0f} s: "
            "the head is lost, or very busy"
        )

    def _storage(self, now: float) -> str:
        if self.folder is None:
            return ""
        try:
            free = shutil.disk_usage(self.folder).free
            # What is saved makes a folder that was removed anew, without the cells that had ended.
            if _identity(self.folder) != self.place:
                raise OSError(errno.ENOENT, "another one has its name")
        except OSError as error:
            self.missed += 1
            return f"{self.folder} is gone ({error.strerror})" * (self.missed >= GONE_LOOKS)
        self.missed = 0
        if free >= FULL_BYTES:
            if self.full_since:
                complain("There is room on the disk again.")
            self.full_since = None
        elif self.full_since is None:
            self.full_since = now
            complain(
                f"The disk of {self.folder} is full: cells wait {PATIENCE_SECONDS} s for room to "
                "save, and then the sweep ends. Free some."
            )
        elif now - self.full_since > PATIENCE_SECONDS:
            return f"the disk of {self.folder} is full: free some room"
        return ""

    # The end.

    def _end(self, line: str, code: int) -> None:
        complain(line)
        if self.alive:
            with contextlib.suppress(OSError):
                self.alive.unlink(missing_ok=True)
        self._kill()
        os._exit(code)

    def _kill(self) -> None:
        """End what this process has started, and what that has."""
        self._remember()
        for child in self.children:
            with contextlib.suppress(Exception):  # It has ended meanwhile.
                child.kill()


def _identity(folder: Path) -> tuple[int, int]:
    """What tells a folder from another of its name."""
    found = folder.stat()
    return found.st_dev, found.st_ino


def _how(code: int) -> str:
    """How a process ended, by its return code."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
