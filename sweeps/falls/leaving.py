"""On Ctrl-C, SIGTERM or a closed terminal (SIGHUP), cells save and then the sweep ends."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from types import FrameType
from typing import Any

import ray
from ray.exceptions import RayError

from data.store.location import Location
from sweeps.console import say
from sweeps.falls.standing import SAVE_SECONDS, on_signals
from trainers.saved import newest_step


class Leaving:
    """A context in which the first signal lets the cells save and then raises KeyboardInterrupt in
    the main thread; a second signal raises it at once."""

    def __init__(self, tracker: Any, cells: Location) -> None:
        self.tracker, self.cells = tracker, cells
        self.asked = False

    def __enter__(self) -> Leaving:
        self.before = on_signals(self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # In a thread, because the signal may have come in the middle of a call to Ray.
        threading.Thread(target=self._leave, daemon=True).start()
        with contextlib.suppress(OSError):  # The terminal may be gone.
            say("The cells are saving; a second Ctrl-C leaves at once.")

    def _leave(self) -> None:
        # Whatever cannot be asked or read, the sweep ends.
        try:
            self._have_all_saved(time.monotonic() + SAVE_SECONDS)
        except (RayError, OSError):
            pass
        finally:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _have_all_saved(self, until: float) -> None:
        running, _ = ray.get(self.tracker.progress.remote(), timeout=SAVE_SECONDS)
        saved = {key: self._saved(key) for key, point in running.items() if point["tokens"]}
        ray.get(self.tracker.leave.remote(), timeout=SAVE_SECONDS)
        while time.monotonic() < until and any(
            self._saved(key) == before for key, before in saved.items()
        ):
            time.sleep(0.2)

    def _saved(self, key: str) -> int | None:
        return newest_step(self.cells / key)
