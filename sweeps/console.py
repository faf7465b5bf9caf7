"""What the user sees of a sweep, and where all other output goes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.errors import printable
from data.store.location import own_file
from fitting.runs.escape import masked
from sweeps.pane import Pane, above

NARROWEST = 110
"""The least width of a table, even in a narrower terminal: truncated numbers are of no use."""


class Named:
    """Standard output, whose errors name it: `No space left on device` alone may be any disk."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        with _naming():
            return self.stream.write(text)

    def flush(self) -> None:
        with _naming():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def _naming() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def output() -> Any:
    """Standard output, whatever `quiet` has redirected; None if it is closed."""
    return sys.__stdout__ and Named(sys.__stdout__)


def is_drawn_in() -> bool:
    """Whether the user sees a terminal in which lines can be drawn again."""
    stream = output()
    return stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def any_encoding() -> None:
    r"""Have signs that the user's terminal does not know shown as `\xb1`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def console() -> Console:
    """A console that writes to the user. Text is text there: a reason such as `[rank0]: ...` is no
    markup, and a line stays whole, however long."""
    return Console(file=output(), highlight=False, soft_wrap=True, markup=False, emoji=False)


def print_table(rows: Table) -> None:
    to_user = console()
    to_user.width = max(NARROWEST, to_user.width)
    to_user.print(rows)


def print_sentence(to_user: Console, text: str) -> None:
    """Print what is to be read: in a terminal, lines break between words."""
    to_user.print(text, soft_wrap=not is_drawn_in())


def duration(seconds: float) -> str:
    """'45 s', '12 min', '3.4 h', '2.1 d'."""
    for unit, length, digits in (("d", 86_400, 1), ("h", 3600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def say(text: str) -> None:
    """Tell the user one or more lines, in which nothing is obeyed and no password shown."""
    lines = map(printable, masked(text).split("\n"))
    with above():
        print("\n".join(lines), file=output(), flush=True)


def complain(text: str) -> None:
    """Tell the user a line on standard error, as `say` does; nothing if nobody is there any
    more."""
    with contextlib.suppress(OSError), above():
        print(printable(masked(text)), file=sys.__stderr__, flush=True)


@contextlib.contextmanager
def busy(text: str) -> Iterator[None]:
    """Tell the user what takes a while: in a terminal with its seconds, until it is over."""
    if not is_drawn_in():
        say(f"{text}...")
        yield
        return
    over, began = threading.Event(), time.monotonic()

    def draw(pane: Pane) -> None:
        with contextlib.suppress(OSError):  # The terminal may be gone.
            while not over.wait(1):
                pane.draw(Text(f"{text}... {time.monotonic() - began:.0f} s"))

    with Pane(output()) as pane:
        pane.draw(Text(f"{text}..."))
        thread = threading.Thread(target=draw, args=[pane], daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def table(left: list[str], right: list[str], last: list[str]) -> Table:
    """An empty table with these columns: text, numbers, and text again."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for names, justify in ((left, "left"), (right, "right"), (last, "left")):
        for name in names:
            made.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    return made


@contextlib.contextmanager
def quiet(log: Path, verbose: bool) -> Iterator[None]:
    """Send what Ray and MLflow print to a file, unless the user wants to see it.

    Raises DataError if a link stands for the file.
    """
    if verbose:
        yield
        return
    # Read at import, and by Tune, whose new output ignores the verbosity.
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "1"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(log, "a", opener=own_file) as file,
        _descriptors_to(file),
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


@contextlib.contextmanager
def _descriptors_to(file: TextIO) -> Iterator[None]:
    """Send to a file what is written to the descriptors of standard output and error, as Ray's C++
    does. `output` and `complain` still reach the user."""
    with contextlib.ExitStack() as stack:
        for name in ("__stdout__", "__stderr__"):
            stream = getattr(sys, name)
            if stream is None:  # It was closed before this program began.
                continue
            stream.flush()
            number = stream.fileno()
            users = os.dup(number)
            to_user = open(users, "w", encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115
            stack.callback(_close, to_user)
            stack.callback(os.dup2, users, number)
            stack.callback(setattr, sys, name, stream)
            os.dup2(file.fileno(), number)
            setattr(sys, name, to_user)
        yield


def _close(stream: TextIO) -> None:
    """What nobody took, on a full disk or by a reader that has gone, was told when it came."""
    with contextlib.suppress(OSError):
        stream.close()
