"""Waiting for what happens, as long as a busy machine may need, and no longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 600
"""Nothing here takes a tenth of it on a quiet machine: what is not there by then never comes."""


def wait_until(
    what: Callable[[], Found], seconds: float = PATIENCE_SECONDS, every: float = 0.05
) -> Found:
    """What it returns once that is something. Fails after `seconds`."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, f"it did not happen in {seconds:g} s"
        time.sleep(every)
    return found
