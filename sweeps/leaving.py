"""On Ctrl-C or SIGTERM, cells save and then the sweep ends."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

import ray

from data.store.location import Location
from sweeps.console import say
from trainers.saved import newest_step

SAVE_SECONDS = 30
"""The longest that cells may take to save; what is not saved by then is trained again."""


class Leaving:
    """A context in which the first signal lets the cells save and then raises KeyboardInterrupt in
    the main thread; a second signal raises it at once."""

    def __init__(self, tracker: Any, cells: Location) -> None:
        self.tracker, self.cells = tracker, cells
        self.asked = False

    def __enter__(self) -> Leaving:
        signals = (signal.SIGINT, signal.SIGTERM)
        self.before = {number: signal.signal(number, self._on_signal) for number in signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        say("The cells are saving; a second Ctrl-C leaves at once.")
        # In a thread, because the signal may have come in the middle of a call to Ray.
        threading.Thread(target=self._leave, daemon=True).start()

    def _leave(self) -> None:
        running, _ = ray.get(self.tracker.progress.remote())
        saved = {key: self._saved(key) for key, point in running.items() if point["tokens"]}
        ray.get(self.tracker.leave.remote())
        until = time.monotonic() + SAVE_SECONDS
        while time.monotonic() < until and any(
            self._saved(key) == before for key, before in saved.items()
        ):
            time.sleep(0.2)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _saved(self, key: str) -> int | None:
        return newest_step(self.cells / key)
