"""A terminal that remembers: what a person sees of a program that draws in it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pyte


class Terminal:
    """A pseudo-terminal whose screen can be read."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave, termios.TCSANOW)
        attributes = termios.tcgetattr(self.slave)
        attributes[1] |= termios.OPOST | termios.ONLCR  # A line feed begins a new line.
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        self.screen = pyte.HistoryScreen(columns, lines, history=5000)
        self.stream = pyte.ByteStream(self.screen)
        self.seen: list[list[str]] = []
        """The screen after each piece of output."""
        self.resize(columns, lines)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def resize(self, columns: int, lines: int = 24) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def file(self) -> TextIO:
        """For writing, by a program of this process."""
        return open(os.dup(self.slave), "w", encoding="utf-8", buffering=1)

    def _read(self) -> None:
        while True:
            try:
                got = os.read(self.master, 65536)
            except OSError:  # Nobody has it open any more.
                return
            if not got:
                return
            self.stream.feed(got)
            self.seen.append(self.lines())

    def lines(self) -> list[str]:
        """What is on the screen, without empty lines at its end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def everything(self) -> list[str]:
        """What has gone off at the top, and what is on the screen."""
        top = [
            "".join(row[column].data for column in range(self.screen.columns)).rstrip()
            for row in self.screen.history.top
        ]
        return top + self.lines()

    def close(self) -> None:
        """Let go of the slave's end, so that reading ends, and wait until all is read."""
        os.close(self.slave)
        self.thread.join(10)
        os.close(self.master)


@contextmanager
def terminal(columns: int, lines: int = 24) -> Iterator[Terminal]:
    found = Terminal(columns, lines)
    try:
        yield found
    finally:
        if found.thread.is_alive():
            found.close()
