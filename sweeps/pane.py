"""The lowest lines of a terminal, drawn again in place. What is said meanwhile stands above."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from rich.console import Console, RenderableType

UP = "\x1b[{}A"
DOWN_FROM_HERE = "\r\x1b[J"
ALL = "\x1b[H\x1b[2J"
"""A terminal of another width has broken its lines elsewhere, or has cut them: how far the pane
reaches up is not known any more, and the screen is begun anew."""
PATIENCE_SECONDS = 2.0

_open: list[Pane] = []


class Pane:
    """A context. In it, `above` keeps what others write out of the pane's lines."""

    def __init__(self, file: Any) -> None:
        """file: a terminal, open for writing."""
        self.file = file
        self.lock = threading.RLock()
        self.rows = 0
        self.size = os.get_terminal_size(file.fileno())

    def __enter__(self) -> Pane:
        _open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _open.remove(self)
        with contextlib.suppress(OSError), self.lock:
            self._write(self._clearing())

    def draw(self, shown: RenderableType) -> None:
        """Draw this in place of what is there; lines and rows that have no room are cut off."""
        with self.lock:
            clearing = self._clearing()
            # In the last column a terminal may break the line, which would be a row more.
            width, height = max(1, self.size.columns - 1), max(1, self.size.lines - 1)
            console = Console(
                file=self.file,
                width=width,
                height=height,
                force_terminal=True,
                highlight=False,
                markup=False,
                emoji=False,
            )
            with console.capture() as captured:
                console.print(shown, no_wrap=True, overflow="ellipsis", crop=True)
            lines = captured.get().splitlines()[:height]
            self._write(clearing + "".join(f"{line}\n" for line in lines))
            self.rows = len(lines)

    def _clearing(self) -> str:
        """What takes the pane off the terminal."""
        rows, self.rows = self.rows, 0
        before, self.size = self.size, os.get_terminal_size(self.file.fileno())
        if rows and before != self.size:
            return ALL
        return (UP.format(rows) if rows else "") + DOWN_FROM_HERE

    def _write(self, text: str) -> None:
        self.file.write(text)
        self.file.flush()

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """The pane is off the terminal, until it is drawn again."""
        # Who draws may wait for a terminal that takes nothing; what is said then must not wait too.
        mine = self.lock.acquire(timeout=PATIENCE_SECONDS)
        try:
            if mine:
                with contextlib.suppress(OSError):
                    self._write(self._clearing())
            yield
        finally:
            if mine:
                self.lock.release()


@contextlib.contextmanager
def above() -> Iterator[None]:
    """What is written to the terminal in this context stands above the pane, if there is one."""
    with contextlib.ExitStack() as stack:
        for pane in _open:
            stack.enter_context(pane.lifted())
        yield
