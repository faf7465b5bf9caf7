"""Many calls of one function, one after the other here; a sweep makes them on its cluster instead.

Whichever way, a call that fails costs its own result only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol


class Apart(Protocol):
    def __call__(
        self, work: Callable[..., Any], tasks: Sequence[tuple], shared: tuple
    ) -> Iterator[Any]:
        """For each task, in order, what `work(*shared, *task)` returns, or the error it raises.

        shared: arguments of every call, which are handed over once.
        """
        ...


def in_turn(work: Callable[..., Any], tasks: Sequence[tuple], shared: tuple) -> Iterator[Any]:
    """In this process, each when its result is asked for."""
    for task in tasks:
        try:
            yield work(*shared, *task)
        except Exception as error:
            yield error
